"""Tables: what every kind of column, file and object is read as, and what is refused, in one line that says
where."""

import gzip
import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from deepcanon.data import describe_table, encode_rows, recorded_metadata, sets, table
from deepcanon.data.notices import DataNotice
from deepcanon.data.split import held_out
from deepcanon.data.table_cells import MOST_WORDS
from deepcanon.data.table_csv import CHUNK

ROWS = [f"{i},{i % 3},{'red' if i % 2 else 'blue'},{'yes' if i > 20 else 'no'},{i / 7}" for i in range(40)]
HEADER = "age,rooms,colour,bought,price"


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNotice)
        yield


@pytest.fixture
def write(tmp_path):
    """A function that writes a file and gives its path."""
    def written(content, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return written


@pytest.fixture
def sales(write):
    return write("\n".join([HEADER, *ROWS]) + "\n", "sales.csv")


def with_target(column, name="a"):
    """A CSV of one column and a target y of two classes, enough rows of each."""
    return f"{name},y\n" + "".join(f"{cell},{i % 2}\n" for i, cell in enumerate(column))


def all_of(source, **how):
    """The metadata and all rows, in order."""
    data = table(source, split=None, batch=100_000, **how)
    return data.metadata, *data.at(0)


def unscaled(metadata, x, name):
    """A column of features as it was before it was scaled."""
    j = metadata["columns"].index(name)
    return x[:, j].double() * metadata["std"][j] + metadata["mean"][j]


def refused(line, source, **how):
    with pytest.raises(ValueError, match=line) as error:
        table(source, **how).at(0)
    assert "\n" not in str(error.value)


# ordinary tables


def test_classes_and_features_standardised_by_the_training_rows(sales):
    train, test = (table(sales, target="bought", split=split, batch=40) for split in ("train", "test"))
    assert (train.count, test.count) == (32, 8)
    assert train.classes == ["no", "yes"]
    assert train.metadata["columns"] == ["age", "rooms", "colour=blue", "colour=red", "price"]
    x, y = train.at(0)
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    torch.testing.assert_close(x.mean(0), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(0, correction=0), torch.ones(5), atol=1e-5, rtol=0)
    assert torch.equal(y, (unscaled(train.metadata, x, "age").round() > 20).long())
    x, _ = test.at(0)
    age, red = (unscaled(test.metadata, x, name).round() for name in ("age", "colour=red"))
    assert torch.equal(red, age % 2)


def test_values_and_a_packed_file(sales, tmp_path):
    packed = tmp_path / "sales.csv.gz"
    packed.write_bytes(gzip.compress((tmp_path / "sales.csv").read_bytes()))
    data = table(packed, target="price", batch=40)
    assert data.classes == []
    _, y = data.at(0)
    assert y.dtype == torch.float32
    assert data.metadata["target_mean"] == pytest.approx(y.double().mean().item())
    assert data.metadata["target_std"] == pytest.approx(y.double().std(correction=0).item())
    assert table(sales, target="rooms").classes == ["0", "1", "2"]
    assert table(sales, target="rooms", task="regress").at(0)[1].dtype == torch.float32
    assert len(table(sales, target="age", task="regress").classes) == 0
    assert table(sales, target="rooms", task="regress").metadata["task"] == "regress"


def test_the_splits_are_a_partition_and_each_class_has_its_share(write):
    path = write("a,y\n" + "".join(f"{i},{'rare' if i % 10 == 0 else 'common'}\n" for i in range(200)))
    seen = {split: table(path, split=split, batch=200, shuffle=False) for split in ("train", "test", None)}
    age = {split: set(unscaled(data.metadata, data.at(0)[0], "a").round().int().tolist())
           for split, data in seen.items()}
    assert age["train"] | age["test"] == set(range(200)) == age[None]
    assert not age["train"] & age["test"]
    assert [int((seen[split].at(0)[1] == 1).sum()) for split in ("train", "test")] == [16, 4]
    assert seen["test"].metadata["mean"] == seen["train"].metadata["mean"] != seen[None].metadata["mean"]


@pytest.mark.parametrize(("labels", "count"), [
    (None, 2), ([0] * 10, 2), (range(10), 0), ([0, 0, 0, 0, 0, 0, 1, 1, 1, 1], 2),
    ([0, 0, 1, 2, 3, 4, 5, 6, 7, 8], 1)])
def test_rows_that_are_held_out(labels, count):
    labels = labels and np.array(labels)
    rows = held_out(10, labels)
    assert rows.sum() == count
    assert np.array_equal(rows, held_out(10, labels))
    if labels is not None:
        assert set(labels[~rows]) == set(labels)
    assert [int(held_out(n).sum()) for n in (1, 2, 3, 4, 5, 6, 100)] == [0, 1, 1, 1, 1, 2, 20]


def test_the_seed_orders_the_rows_and_draws_no_other_split(sales):
    a, b = (table(sales, target="bought", seed=seed, batch=32).at(0)[0] for seed in (0, 1))
    assert not torch.equal(a, b)
    assert sorted(a[:, 0].tolist()) == sorted(b[:, 0].tolist())


def test_a_class_of_one_row_is_kept_for_training(write):
    path = write("a,y\n" + "".join(f"{i},{'p' if i % 2 else 'q'}\n" for i in range(20)) + "3,once\n")
    train, test = table(path, batch=100), table(path, split="test", batch=100)
    assert train.classes == ["once", "p", "q"]
    assert (train.at(0)[1] == 0).sum() == 1
    assert (test.at(0)[1] != 0).all()
    assert any("single row, kept for training: once" in note for note in train.metadata["notes"])


@pytest.mark.parametrize(("names", "expected"), [("a,Target,b", "Target"), ("class,a,b", "class"),
                                                 ("a,Label,y", "Label"), ("a,b,c", "c")])
def test_the_target_that_is_taken_when_none_is_given(write, names, expected):
    path = write(f"{names}\n" + "".join(f"{i % 2},{i % 2},{i % 2}\n" for i in range(10)))
    with pytest.warns(DataNotice, match=f"the target is the column '{expected}'"):
        assert table(path).metadata["target"] == expected


@pytest.mark.parametrize(("name", "shape", "count", "classes"), [
    ("iris", (4,), 150, 3), ("wine", (13,), 178, 3), ("breast_cancer", (30,), 569, 2),
    ("diabetes", (10,), 442, 0)])
def test_known_tables(name, shape, count, classes):
    data = table(name, split=None, batch=1_000)
    assert (data.shape, data.count, len(data.classes)) == (shape, count, classes)
    from sklearn import datasets

    reference = getattr(datasets, f"load_{name}")(**({"scaled": False} if name == "diabetes" else {}))
    x, y = data.at(0)
    expected = (reference.data - reference.data.mean(0)) / reference.data.std(0)
    np.testing.assert_allclose(x.numpy(), expected, atol=1e-5)
    if classes:
        assert [data.classes[k] for k in y.tolist()] == [str(reference.target_names[k])
                                                         for k in reference.target]
    else:
        np.testing.assert_allclose(y.numpy(), reference.target)
    assert sets.SETS[name].kind == "table"


def test_scikit_learn_is_not_imported_for_its_tables():
    import subprocess
    import sys

    code = ("import sys; from deepcanon.data import table; assert table('iris').count == 120; "
            "sys.exit('sklearn' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# cells and columns


@pytest.mark.parametrize("mark", ["?", "NA", "n/a", "-", "", "NULL", "None", "nan", " "])
def test_a_missing_number_is_the_mean_and_is_marked(write, mark):
    path = write(with_target([f"{i}.5" for i in range(9)] + [mark]))
    metadata, x, _ = all_of(path)
    assert metadata["columns"] == ["a", "a is missing"]
    assert metadata["missing"] == {"a": 1}
    assert unscaled(metadata, x, "a")[-1].item() == pytest.approx(4.5)
    torch.testing.assert_close(unscaled(metadata, x, "a is missing"), torch.tensor([0.0] * 9 + [1]).double(),
                               atol=1e-6, rtol=0)
    assert any("1 missing value of 10, filled with the training mean" in note for note in metadata["notes"])
    refused(f"column 'a' is {'empty' if not mark.strip() else repr(mark).replace('?', '[?]')}.* in row 10",
            path, fill="refuse")


def test_marks_of_missing_values_can_be_set(write):
    path = write(with_target(["1", "2", "-9", "3", "4", "none", "5", "6"]))
    refused("column 'a' is 'none' in row 6", path, missing=["-9"], types={"a": "number"})
    metadata, x, _ = all_of(path, missing=["-9", "none"])
    assert metadata["missing"] == {"a": 2}
    assert unscaled(metadata, x, "a")[2].item() == pytest.approx(21 / 6)


def test_a_missing_word_is_none_of_the_words(write):
    metadata, x, _ = all_of(write(with_target(["p", "q", "p", "", "q", "p"])))
    assert metadata["columns"] == ["a=p", "a=q", "a is missing"]
    assert [round(unscaled(metadata, x, name)[3].item(), 5) for name in metadata["columns"]] == [0, 0, 1]


def test_a_cell_that_is_no_number_among_numbers_is_named(write):
    refused("column 'a' is '12O' in row 31, expected a number",
            write(with_target([*range(30), "12O", *range(30)])))
    refused("column 'a' is 'x' in row 3, expected a number", write(with_target(["1.5", "2.5", "x", "3.5"])))
    refused("column 'a' is 'x' in row 1", write(with_target(["x", *range(25)])))


@pytest.mark.parametrize(("cells", "values"), [
    (["1e5", "-2E-3", ".5", "+3.", "7"], [1e5, -2e-3, 0.5, 3, 7]),
    (["5%", "12.5 %", "-1%", "0%"], [5, 12.5, -1, 0]),
    (["$5", "$1200.50", "-$3", "$-4"], [5, 1200.5, -3, -4]),
    (["5 EUR", "7.5 EUR", "9EUR", "1 EUR"], [5, 7.5, 9, 1]),
    (['"1,234"', '"12,345.5"', "999", "-1"], [1234, 12345.5, 999, -1]),
    (["1 234", "12 345", "999", "10 000"], [1234, 12345, 999, 1e4]),
    (["\u22125", "6", "7", "8"], [-5, 6, 7, 8]),
    (["2020-01-01", "1970-01-02", "2020-01-01T12:00:00", "2020-01-01 00:00"], [18262, 1, 18262.5, 18262]),
    (["2020-01-01T02:00:00+02:00", "1970-01-02", "1970-01-01", "1970-01-03"], [18262, 1, 0, 2]),
    (["True", "false", "TRUE", "False"], [1, 0, 1, 0]),
    (["yes", "No", "no", "YES"], [1, 0, 0, 1]),
])
def test_what_numbers_are_read_as(write, cells, values):
    metadata, x, _ = all_of(write(with_target(cells)))
    assert metadata["columns"] == ["a"]
    np.testing.assert_allclose(unscaled(metadata, x, "a").numpy(), values, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize(("cells", "notes"), [
    (['"1,234"', "5", "6"], ["thousands marks were removed, as in '1,234'"]),
    (["5%", "6%", "7%"], ["numbers were read without their sign '%'"]),
    (["1", "2", "3"], []),
    (["2020-01-01", "2021-01-01"], ["dates were read as days since 1970-01-01"]), (["yes", "no"], [])])
def test_what_is_said_of_a_column(write, cells, notes):
    metadata, _, _ = all_of(write(with_target(cells * 2)), target="y")
    assert metadata["notes"] == [f"column 'a': {note}" for note in notes]


@pytest.mark.parametrize(("cells", "line"), [
    (["5%", "6%", "7"], "column 'a' has '7' in row 3 and '5%' elsewhere"),
    (["$5", "€6", "$7"], "column 'a' has '€6' in row 2 and '[$]5' elsewhere"),
    (["1", "2", "inf", "3"], "column 'a' is infinite in row 3, expected a number$"),
    (["1", "-Infinity", "2", "3"], "column 'a' is infinite in row 2"),
    (["1", "1e999", "2", "3"], "column 'a' is infinite in row 2"),
    (["2020-01-01"] * 30 + ["2020-02-30"], r"column 'a' is '2020-02-30' in row 31, expected a date"),
])
def test_columns_that_do_not_agree_are_refused(write, cells, line):
    refused(line, write(with_target(cells)))


@pytest.mark.parametrize("cells", [["10_1", "11_0", "1_10"], ["007", "012", "123"], ["0x1F", "0x2A", "0x3B"],
                                   ["9007199254740993", "9007199254740995", "12"], ["1,2", "3,4", "5,6"],
                                   ["nano", "infra", "1e"]])
def test_what_is_no_number_stays_as_it_is_written(write, cells):
    path = write(with_target([f'"{cell}"' for cell in cells * 2]))
    metadata, _, _ = all_of(path, decimal=".")
    assert metadata["categories"] == {"a": sorted(cells)}
    assert metadata["types"] == {"a": "category"}


def test_types_can_be_set(write):
    path = write("zip,b,code,y\n" + "".join(f"00{i % 3},{i % 2},{i % 4},{i % 2}\n" for i in range(12)))
    metadata, x, _ = all_of(path, types={"zip": "number", "b": "ignore", "code": "category"})
    assert metadata["columns"] == ["zip", "code=0", "code=1", "code=2", "code=3"]
    assert unscaled(metadata, x, "zip").round().tolist() == [i % 3 for i in range(12)]
    assert metadata["dropped"] == {"b": "set so"}
    refused("types names a column 'zap' that is not there; did you mean 'zip'", path, types={"zap": "number"})
    refused("types must be 'number' or 'category' or 'ignore', got 'text'", path, types={"zip": "text"})


def test_names_and_row_numbers_are_left_out_by_name(write):
    path = write("id,name,a,y\n" + "".join(f"{i},person {i},{i % 7},{i % 2}\n" for i in range(60)))
    with pytest.warns(DataNotice, match="column 'name' was left out: 60 different words in 60 rows"):
        metadata = table(path).metadata
    assert metadata["columns"] == ["a"]
    assert metadata["dropped"]["id"] == "numbers the rows"
    kept, _, _ = all_of(path, types={"name": "category"})
    assert len(kept["categories"]["name"]) == 60


def test_a_column_of_many_words_costs_little(write):
    import time

    path = write("name,a,y\n" + "".join(f"word{i % 8_000},{i % 7}.5,{i % 2}\n" for i in range(9_000)))
    start = time.perf_counter()
    data = table(path)
    assert data.shape == (1,)
    assert time.perf_counter() - start < 10
    assert "8,000 different words" in data.metadata["dropped"]["name"]


def test_more_features_than_memory_are_refused(write, monkeypatch):
    path = write(with_target([f"w{i}" for i in range(300)]))
    monkeypatch.setattr("deepcanon.data.table_encode.MOST_BYTES", 100_000)
    refused("300 rows of 240 features take", path, types={"a": "category"})


def test_constant_columns_are_left_out(write):
    path = write("c,a,e,y\n" + "".join(f"3,{i},,{i % 2}\n" for i in range(10)))
    metadata, _, _ = all_of(path)
    assert metadata["columns"] == ["a"]
    assert metadata["dropped"] == {"c": "has one value only in the training rows", "e": "holds no value"}
    refused("no column is left to learn from: 'a' has one value only",
            write(with_target([1, 1, 1, 1]), "u.csv"))


def test_a_large_file_is_typed_over_all_its_chunks(write):
    rows = 2 * CHUNK + 10
    cells = [f"{i}.25" for i in range(rows)]
    assert rows > MOST_WORDS
    metadata, x, _ = all_of(write(with_target(cells)))
    torch.testing.assert_close(unscaled(metadata, x, "a"), torch.arange(rows).double() + 0.25, atol=0.01,
                               rtol=0)
    refused(f"column 'a' is 'x' in row {rows}, expected a number", write(with_target([*cells[:-1], "x"])))
    codes = [str(i % 5) for i in range(rows - 1)]
    metadata, _, _ = all_of(write(with_target([*codes, "007"])))
    assert metadata["categories"]["a"] == ["0", "007", "1", "2", "3", "4"]


def test_a_file_is_read_once_for_both_splits_and_again_when_it_changes(write, monkeypatch):
    from deepcanon.data import table_read

    reads = []
    original = table_read.of_text
    monkeypatch.setattr(table_read, "of_text", lambda *args: reads.append(args) or original(*args))
    path = write(with_target(range(20)))
    assert (table(path).count, table(path, split="test").count, len(reads)) == (16, 4, 1)
    write(with_target(range(40)))
    assert (table(path).count, len(reads)) == (32, 2)


# targets


@pytest.mark.parametrize(("cells", "task", "line"), [
    (["1", "", "2"], None, r"column 'y' is empty in row 2; fill or drop such rows \(1 of 3\)"),
    (["p", "?", "q"], None, "column 'y' is '[?]' [(]missing[)] in row 2"),
    (["p", "q", "p"], "regress", "column 'y' holds words, expected numbers"),
    (["p", "p", "p"], None, "the target 'y' has one value only, 'p'"),
    (["1", "1", "1"], None, "the target 'y' has one value only, 1"),
    ([f"n{i}" for i in range(30)], None, "the target 'y' has 30 different values in 30 rows: names, not "
                                         "classes"),
    ([i / 7 for i in range(30)], "classify", "the target 'y' has 30 different values in 30 rows"),
    (["p", "q"], "sort", "task must be 'classify' or 'regress' or None, got 'sort'"),
])
def test_targets_that_are_refused(write, cells, task, line):
    refused(line, write("a,y\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))), task=task)


def test_what_is_wrong_with_a_target_that_was_guessed_says_so(write):
    path = write("a,b\n1,p\n2,\n3,q\n4,p\n")
    refused(r"column 'b' is empty in row 2; .* \('b' was taken for the target: set target= to another\)$", path)
    refused(r"column 'b' is empty in row 2; fill or drop such rows \(1 of 4\)$", path, target="b")


def test_the_target_of_a_known_table_is_no_news():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert table("iris").metadata["notes"] == []


@pytest.mark.parametrize(("cells", "classes"), [
    (["10", "9", "10", "9"], ["9", "10"]), (["Yes", "no", "yes", "no"], ["no", "yes"]),
                                                (["True", "False"] * 2, ["False", "True"]),
    (["01", "02"] * 2, ["01", "02"]), (["p", "q"] * 2, ["p", "q"])])
def test_classes_of_a_target(write, cells, classes):
    metadata, _, y = all_of(write("a,y\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))))
    assert metadata["classes"] == classes
    assert [classes[k].lower() for k in y.tolist()] == [cell.lower() for cell in cells]


# files


@pytest.mark.parametrize(("content", "how"), [
    ("a;b;y\n1,5;2;0\n2,25;4;1\n-3,5;6;1\n", {}),
    ("a\tb\ty\n1.5\t2\t0\n2.25\t4\t1\n-3.5\t6\t1\n", {}),
    ("a|b|y\n1.5|2|0\n2.25|4|1\n-3.5|6|1\n", {}),
    ("a,b,y\r1.5,2,0\r2.25,4,1\r-3.5,6,1\r", {}),
    ("a,b,y\r\n1.5,2,0\r\n\r\n2.25,4,1\r\n-3.5,6,1", {}),
    ("\ufeffa,b,y\n1.5,2,0\n2.25,4,1\n-3.5,6,1\n", {}),
    ("a,b,y\n1.5,2,0\n2.25,4,1\n-3.5,6,1\n".encode("utf-16"), {}),
    ("a,b,y\n1.5,2,0\n2.25,4,1\n-3.5,6,1\n".encode("utf-16-le"), {"encoding": "utf-16-le"}),
    ("a,b,y,\n1.5,2,0,\n2.25,4,1,\n-3.5,6,1,\n", {}),
    ("a,b,y\n1.5,2,0,\n2.25,4,1,\n-3.5,6,1,\n", {}),
    ("# a table\n\na,b,y\n1.5,2,0\n# half\n2.25,4,1\n-3.5,6,1\n", {}),
    ("# a,b,y\n1.5,2,0\n2.25,4,1\n-3.5,6,1\n", {}),
    (",a,b,y\n0,1.5,2,0\n1,2.25,4,1\n2,-3.5,6,1\n", {}),
    ("1.5,2,0\n2.25,4,1\n-3.5,6,1\n", {"names": ["a", "b", "y"]}),
    ("a:b:y\n1.5:2:0\n2.25:4:1\n-3.5:6:1\n", {"separator": ":"}),
    (' a , "b",y\n 1.5, "2",0\n2.25 ,4,1\n-3.5,6,1\n', {}),
])
def test_layouts_of_one_table(write, content, how):
    metadata, x, y = all_of(write(content), **how)
    assert metadata["columns"] == ["a", "b"]
    torch.testing.assert_close(unscaled(metadata, x, "a"), torch.tensor([1.5, 2.25, -3.5]).double(),
                               atol=1e-5, rtol=0)
    torch.testing.assert_close(unscaled(metadata, x, "b"), torch.tensor([2.0, 4, 6]).double(), atol=1e-5,
                               rtol=0)
    assert y.tolist() == [0, 1, 1]


def test_quoted_line_ends_and_separators_are_part_of_a_cell(write):
    metadata, _, _ = all_of(write('a,y\n"p\nq",0\n"r, s",1\n"p\nq",0\n"a ""b""",1\n'))
    assert metadata["categories"]["a"] == ['a "b"', "p\nq", "r, s"]


@pytest.mark.parametrize(("content", "encoding", "word"), [(b"caf\xe9", "latin-1", "café"),
                                                           (b"5 \x80", "cp1252", "5 €")])
def test_an_encoding_that_is_guessed_is_said(write, content, encoding, word):
    path = write(b"a,y\n" + content + b",0\np,1\n" + content + b",0\np,1\n")
    with pytest.warns(DataNotice, match=f"read as {encoding}"):
        metadata = table(path, split=None, types={"a": "category"}).metadata
    assert metadata["categories"]["a"] == sorted([word, "p"])
    assert metadata["encoding"] == encoding
    refused(r"expected UTF-8 text, found the byte 0x.* at position \d", path, encoding="utf-8")


@pytest.mark.parametrize(("content", "how", "line"), [
    ("", {}, "expected a row of names and at least two rows, found none"),
    ("a,y\n", {}, "at least two rows, found 0 rows"),
    ("0" * 140_000, {}, "found none, but a line of 140,000 characters that cannot be read"),
    ("a,y\n1,0\n", {}, "at least two rows, found 1 row"),
    ("a\n1\n2\n", {}, "expected a column beside the target, found only 'a'"),
    ("a,y\n1,0\n2,0,3\n", {}, r"row 2 has 3 cells, expected 2 \(line 3: 2, 0, 3\)"),
    ("a,y\n1,0\n2\n3,1\n", {}, "row 2 has 1 cells, expected 2"),
    ("a,y\n1,0,\n2,1\n3,1\n", {}, "row 2 has 2 cells, expected 3 as in the rows above"),
    ("a,b,a,y\n1,2,3,0\n2,3,4,1\n", {}, "the columns 1 and 3 have the same name 'a'"),
    (",a,y\n5,1,0\n7,2,1\n", {}, "column 1 has no name"),
    ("5.1,3.5,0\n4.9,3.0,1\n", {}, "expected a row of names first, found 5.1, 3.5, 0; pass names="),
    ('a,y\n"1,0\n2,1\n', {}, "row 1 cannot be read .*a quotation mark may be missing"),
    ("a,b,y\n1,2,0\n3," + "x" * 131_073 + ",1\n", {}, "column 'b' has a cell of 131,073 characters in row 2"),
    (b"a,y\n1,0\n2\0,1\n", {}, "found a NUL character at position 9"),
    ("a;y\n1,234;0\n2,345;1\n", {}, "'1,234' in column 'a' may have a decimal comma or a thousands mark"),
    ("a;b;y\n3,14;2.5;0\n2,71;3.5;1\n", {},
     "found '3,14' in column 'a' and '2.5' in column 'b'; set decimal="),
    ("a,y\n1,0\n2,1\n", {"target": "z"}, "there is no column 'z'"),
    ("a,y\n1,0\n2,1\n", {"encoding": "utf-99"}, "there is no text encoding 'utf-99'"),
    ("a,y\n1,0\n2,1\n", {"separator": "ab"}, "separator must be one character, got 'ab'"),
    ("a,y\n1,0\n2,1\n", {"decimal": ";"}, "decimal must be"),
    ("a,y\n1,0\n2,1\n", {"fill": "zero"}, "fill must be 'mean' or 'refuse', got 'zero'"),
    ("a,y\n1,0\n2,1\n", {"split": "val"}, "split must be 'train', 'test' or None, got 'val'"),
    ("a,y\n1,0\n2,1\n", {"missing": "NA"}, "expected a list of texts, got 'NA'"),
])
def test_files_that_are_refused(write, content, how, line):
    refused(line, write(content), **how)


def test_the_decimal_mark_can_be_set(write):
    path = write("a;y\n1,234;0\n2,345;1\n")
    for decimal, first in ((",", 1.234), (".", 1234)):
        metadata, x, _ = all_of(path, decimal=decimal)
        assert unscaled(metadata, x, "a")[0].item() == pytest.approx(first)


def test_a_missing_file_and_an_unknown_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        table(tmp_path / "none.csv").at(0)
    with pytest.raises(FileNotFoundError, match="is a folder, expected a file"):
        table(tmp_path).at(0)
    refused("unknown data set 'irsi'; did you mean 'iris'", "irsi")


def test_a_packed_file_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    from deepcanon.data import downloads

    path = tmp_path / "zeros.csv.gz"
    path.write_bytes(gzip.compress(b"0" * 10_000_000))
    monkeypatch.setattr(downloads, "LIMIT", 1_000_000)
    refused("unpacks to more than the 1,000,000 bytes", path)


# objects

FRAME = pd.DataFrame({
    "n": [1, 2, 3, 4, 5, 6], "f": [0.5, None, 2.5, 3.5, 4.5, 5.5], "w": ["p", "q", None, "p", "q", "p"],
                      "b": [True, False] * 3,
    "t": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"] * 2),
                      "k": pd.Categorical([3, 5, 3, 5, 3, 5], categories=[3, 4, 5]),
    "i": pd.array([1, None, 3, 4, 5, 7], dtype="Int64"), "y": ["u", "v", "u", "v", "u", "v"]})


def test_a_frame_keeps_the_types_it_declares():
    metadata, x, y = all_of(FRAME)
    assert metadata["types"] == {"n": "number", "f": "number", "w": "category", "b": "boolean", "t": "date",
                                 "k": "category", "i": "number"}
    assert metadata["categories"] == {"w": ["p", "q"], "k": ["3", "5"]}
    assert metadata["missing"] == {"f": 1, "w": 1, "i": 1}
    assert unscaled(metadata, x, "t").round().tolist() == [18262, 18263, 18264] * 2
    assert unscaled(metadata, x, "b").round().tolist() == [1, 0] * 3
    assert unscaled(metadata, x, "f")[1].item() == pytest.approx(3.3)
    assert y.tolist() == [0, 1] * 3


def test_objects_of_many_kinds_are_one_table():
    x, y = np.array([[1.0, 2], [2, 5], [4, 3], [8, 4]]), np.array([0, 1, 0, 1])
    structured = np.array([(1.0, 2, 0), (2, 5, 1), (4, 3, 0), (8, 4, 1)],
                          dtype=[("x0", "f4"), ("x1", "i8"), ("y", "i8")])
    sources = [(x, y), (torch.tensor(x), torch.tensor(y)), (pd.DataFrame(x, columns=["x0", "x1"]),
                                                            pd.Series(y)), structured,
               {"x0": x[:, 0].tolist(), "x1": x[:, 1], "y": torch.tensor(y)}, np.column_stack([x, y]),
               (np.asfortranarray(x)[::-1][::-1], y[:, None])]
    expected = all_of(sources[0])
    for source in sources:
        metadata, features, target = all_of(source)
        assert [len(metadata["columns"]), metadata["classes"]] == [2, ["0", "1"]]
        assert torch.equal(features, expected[1])
        assert torch.equal(target, expected[2])


class Polars:
    """What is used of a polars frame."""

    def to_dict(self, as_series):
        assert as_series is False
        return {"a": [1, 2, None, 4], "y": ["p", "q", "p", "q"]}


class HuggingFace:
    """What is used of a Hugging Face data set, its label with names."""

    def __init__(self):
        self.features = {"a": None, "label": type("ClassLabel", (), {"names": ["cat", "dog"]})()}

    def with_format(self, kind):
        assert kind is None
        return self

    def __getitem__(self, rows):
        return {"a": [1.5, 2.5, 3.5, 4.5], "label": [0, 1, 1, 0]}


def test_frames_of_other_libraries(monkeypatch):
    monkeypatch.setattr(Polars, "__module__", "polars.dataframe.frame")
    monkeypatch.setattr(HuggingFace, "__module__", "datasets.arrow_dataset")
    metadata, _, _ = all_of(Polars())
    assert metadata["columns"] == ["a", "a is missing"]
    metadata, _, y = all_of(HuggingFace())
    assert metadata["classes"] == ["cat", "dog"]
    assert y.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(("source", "line"), [
    ({"a": [1, 2], "y": [0, 1, 1]}, "expected columns of one length, found a: 2, y: 3"),
    ({"a": [[1], [2]], "y": [0, 1]}, r"column 'a' has the shape \(2, 1\), expected one value in each row"),
    ({"a": [{}, {}], "y": [0, 1]}, "column 'a' holds values of the type dict"),
    ({"a": [1j, 2j], "y": [0, 1]}, "column 'a' holds complex numbers"),
    ({"a": [b"p", b"q"], "y": [0, 1]}, "column 'a' holds"),
    ({"a": [1.0, np.inf], "y": [0, 1]}, "column 'a' is infinite in row 2"),
    ({"a": [1e300, -1e300, 1], "y": [0, 1, 0]}, "column 'a' has values too large to scale"),
    ({}, "a column or more, found none"),
    (np.zeros(3), r"expected a table .*, got ndarray \(3,\)"),
    (7, "expected a table"),
    (pd.DataFrame([[1, 2, 0]], columns=["a", "a", "y"]), "the columns 1 and 2 have the same name 'a'"),
    ((pd.DataFrame({"y": [1, 2]}), [0, 1]), "x has a column 'y', which is the name of the target"),
])
def test_objects_that_are_refused(source, line):
    refused(line, source)


def test_whole_numbers_beyond_2_to_the_53_are_codes():
    big = 2**53
    metadata, _, _ = all_of({"a": [big + 1, big + 3, big + 1, 5], "y": [0, 1, 0, 1]})
    assert metadata["categories"]["a"] == sorted([str(big + 1), str(big + 3), "5"])
    metadata, _, _ = all_of({"a": np.array([big, 2, 3, 5]), "y": [0, 1, 0, 1]})
    assert metadata["types"] == {"a": "number"}


def test_mixed_values_are_words_as_they_are_written():
    metadata, _, _ = all_of({"a": [1, "p", 1, "p", 2.5, "p"], "y": [0, 1] * 3}, types={"a": "category"})
    assert metadata["categories"]["a"] == ["1", "2.5", "p"]


# metadata, new rows, descriptions


def test_metadata_are_json_and_serve_where_the_file_is_not(sales):
    import os

    data = table(sales, target="bought")
    metadata = json.loads(json.dumps({data.key: data.metadata}))
    os.remove(sales)
    with recorded_metadata(metadata):
        again = table(sales, target="bought")
    assert (again.shape, again.classes, again.count) == ((5,), ["no", "yes"], 32)


def test_keys_differ_where_the_options_do(sales):
    keys = {table(sales, **how).key for how in ({}, {"split": "test"}, {"split": None}, {"target": "bought"},
                                                {"fill": "refuse"},
                                               {"types": {"age": "ignore"}}, {"task": "regress"},
                                                {"missing": ["x"]})}
    assert len(keys) == 8


def test_new_rows_are_encoded_as_the_training_rows_were(sales):
    data = table(sales, target="bought", split=None, batch=100)
    x, _ = data.at(0)
    metadata = json.loads(json.dumps(data.metadata))
    assert torch.equal(encode_rows(metadata, sales), x)
    frame = pd.read_csv(sales).drop(columns="bought")
    torch.testing.assert_close(encode_rows(metadata, frame.iloc[::-1]), x.flip(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(encode_rows(metadata, frame.iloc[3:4]), x[3:4], atol=1e-6, rtol=0)


def test_new_rows_with_words_and_gaps_of_their_own(write):
    metadata, _, _ = all_of(write("a,w,b,y\n" + "".join(f"{i if i else ''},{'pq'[i % 2]},{i},{i % 2}\n"
                                                        for i in range(10))))
    with pytest.warns(DataNotice, match=r"column 'w': 1 row with words that are not in the training rows "
                                        r"\('z'\)"):
        x = encode_rows(metadata, {"a": [None, 5], "w": ["z", "p"], "b": [4.5, None], "more": [1, 2]})
    assert metadata["columns"] == ["a", "a is missing", "w=p", "w=q", "b"]
    rows = torch.stack([unscaled(metadata, x, name) for name in metadata["columns"]], 1)
    torch.testing.assert_close(rows, torch.tensor([[5, 1, 0, 0, 4.5], [5, 0, 1, 0, 4.5]]).double(), atol=1e-5,
                               rtol=0)
    with pytest.warns(DataNotice, match="columns that the model was not trained on: 'more'"):
        encode_rows(metadata, {"a": [1], "w": ["p"], "b": [1], "more": [1]})


@pytest.mark.parametrize(("rows", "line"), [
    ({"a": [1.0]}, "columns that the model was trained on are missing: 'b', 't'; found 'a'"),
    ({"a": ["one"], "b": [True], "t": ["2020-01-01"]}, "column 'a' is 'one' in row 1, expected a number"),
    ({"a": [1, np.inf], "b": [True, True], "t": ["2020-01-01"] * 2}, "column 'a' is infinite in row 2"),
    ({"a": [1.0], "b": ["maybe"], "t": ["2020-01-01"]}, "column 'b' is 'maybe' in row 1, expected true or "
                                                        "false"),
    ({"a": [1.0], "b": [True], "t": ["tomorrow"]}, "column 't' is 'tomorrow' in row 1, expected a date"),
])
def test_new_rows_that_are_refused(rows, line):
    metadata, _, _ = all_of({"a": [1, 2, 3, 4], "b": [True, False] * 2, "t": ["2020-01-01", "2020-02-01"] * 2,
                             "y": [0, 1] * 2})
    with pytest.raises(ValueError, match=line):
        encode_rows(metadata, rows)


def test_new_rows_with_gaps_are_refused_where_training_refused_them():
    metadata, _, _ = all_of({"a": [1, 2, 3, 4], "y": [0, 1] * 2}, fill="refuse")
    with pytest.raises(ValueError, match="column 'a' is empty in row 2"):
        encode_rows(metadata, {"a": [1, None]})


def test_new_rows_keep_the_decimal_mark_of_the_training_file(write):
    metadata, _, _ = all_of(write("a;y\n3,14;0\n2,5;1\n1,5;0\n"))
    x = encode_rows(metadata, write("a;y\n1,234;0\n", "new.csv"))
    assert unscaled(metadata, x, "a").item() == pytest.approx(1.234)


def test_a_description_is_json_and_tells_all_columns(write):
    rows = [f"{i};{f'{i},5' if i else '?'};{'pqr'[i % 3]};7;{'uv'[i % 2]}\n" for i in range(10)]
    path = write("# hello\nid;a;w;c;y\n" + "".join(rows))
    described = json.loads(json.dumps(describe_table(path)))
    assert [column["type"] for column in described["columns"]] == ["left out", "number", "category", "left out",
                                                              "target"]
    assert [column["missing"] for column in described["columns"]] == [0, 1, 0, 0, 0]
    assert [column["distinct"] for column in described["columns"]] == [10, 9, 3, 1, 2]
    counts = {"kind": "table", "rows": 10, "train": 8, "test": 2, "features": 5}
    layout = {"separator": ";", "decimal": ",", "encoding": "utf-8", "task": "classify"}
    assert described.items() >= (counts | layout).items()
    assert described["classes"] == {"u": 5, "v": 5}
    assert set(described["dropped"]) == {"id", "c"}
