"""The data protocol: order as a function of (seed, step), shards, devices, metadata, bad input."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from deepcanon.data import arrays, batches_of, images, recorded_metadata, text
from deepcanon.data.augment import binarize, compose, crop, flip
from deepcanon.data.order import Order, mix

SOURCES = {
    "images": lambda **more: images("digits", batch=32, **more),
    "augmented": lambda **more: images("digits", batch=32, augment=compose(crop(1), flip(), binarize), **more),
    "text": lambda **more: text("pydoc", context=16, batch=8, **more),
    "arrays": lambda **more: arrays(torch.arange(100.0).view(50, 2), torch.arange(50) % 5, batch=8, **more),
}


@pytest.fixture(params=SOURCES)
def source(request):
    return SOURCES[request.param]


def same(a, b):
    return all(torch.equal(s, t) for s, t in zip(a, b, strict=True))


def test_a_batch_is_a_function_of_seed_and_step(source):
    data, again = source(seed=3), source(seed=3)
    forward = [data.at(step) for step in range(60)]
    for step in (59, 0, 31, 7):
        assert same(again.at(step), forward[step])
    assert not same(source(seed=4).at(7), forward[7])
    assert not same(forward[0], forward[len(data) % 60])


def test_shards_together_are_the_joined_batch(source):
    whole, parts = source(seed=1), [source(seed=1).shard(rank, 3) for rank in range(3)]
    for step in (0, 5, len(whole) + 1):
        joined = [torch.empty_like(t) for t in whole.at(step)]
        for rank, part in enumerate(parts):
            for mine, all_ranks in zip(part.at(step), joined, strict=True):
                all_ranks[rank::3] = mine
        assert same(joined, whole.at(step))


def test_an_epoch_has_each_row_once():
    order = Order(103, 10, shuffle=True, seed=0)
    epochs = [torch.cat([order.rows(e * order.batches + i) for i in range(order.batches)]) for e in range(2)]
    assert order.batches == 10
    for rows in epochs:
        assert len(rows.unique()) == 100
    assert not torch.equal(*epochs)


def test_seeds_of_near_pairs_are_unrelated():
    seeds = {mix(seed, number) for seed in range(100) for number in range(-100, 100)}
    assert len(seeds) == 20_000
    assert len({seed & 0xFFFFFFFF for seed in seeds}) > 19_990        # torch's CPU generator reads the low 32 bits
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_one_pass_over_the_test_split_is_in_order_and_complete():
    test = images("digits", split="test", batch=100)
    assert [len(y) for _, y in test] == [100, 100, 100, 60]
    assert test.at(0)[0].shape == (100, 1, 8, 8)
    assert same(next(iter(test)), test.at(len(test)))
    assert torch.cat([y for _, y in test]).tolist() == torch.cat([y for _, y in images("digits", split="test", batch=7)]).tolist()


def test_digits_are_scaled_to_one():
    x = torch.cat([x for x, _ in images("digits", batch=1437)])
    assert x.dtype == torch.float32
    assert x.min() == 0
    assert x.max() == 1
    assert torch.equal(x * 16, (x * 16).round())


def test_bytes_are_scaled_to_one_exactly_at_the_ends():
    x, _ = arrays(torch.arange(256, dtype=torch.uint8).view(256, 1), batch=256, shuffle=False).at(0)
    torch.testing.assert_close(x.view(-1), torch.arange(256) / 255, atol=1e-7, rtol=0)
    assert x[0] == 0
    assert x[255] == 1


def test_another_size():
    small, large = images("digits", split="test"), images("digits", split="test", size=32)
    assert large.shape == (1, 32, 32)
    expected = torch.nn.functional.interpolate(small.at(0)[0], (32, 32), mode="bilinear")
    torch.testing.assert_close(large.at(0)[0], expected, atol=0.51 / 255, rtol=0)


def test_a_smaller_set_than_a_batch():
    data = arrays(torch.zeros(5, 2), torch.arange(5), batch=128)
    assert len(data) == 1
    assert sorted(data.at(0)[1].tolist()) == [0, 1, 2, 3, 4]


def test_nothing_is_read_before_the_first_access(monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPCANON_DATA", str(tmp_path))
    (tmp_path / "tinyshakespeare.txt").write_text("not the text")
    data = text("tinyshakespeare")
    with pytest.raises(ValueError, match="damaged or another file"):
        data.at(0)


@pytest.mark.parametrize("name", ["images", "text"])
def test_facts_are_json_and_serve_where_the_data_is_not(name, monkeypatch):
    data = SOURCES[name]()
    metadata = json.loads(json.dumps({data.key: data.metadata}))
    assert len(data.metadata["sha256"]) == 64
    def opened(*args):
        raise AssertionError("a file was opened")

    monkeypatch.setattr("deepcanon.data.pictures.named", opened)
    monkeypatch.setattr("deepcanon.data.texts.numbered", opened)
    with recorded_metadata(metadata):
        elsewhere = SOURCES[name]()
    assert len(elsewhere) == len(data)
    assert elsewhere.count == data.count
    if name == "images":
        assert (elsewhere.shape, elsewhere.classes) == ((1, 8, 8), [str(d) for d in range(10)])
    else:
        assert elsewhere.tokenizer.encode("help") == data.tokenizer.encode("help")


def test_to_a_device_gives_the_same_batches(source):
    assert same(source().to("cpu").at(3), source().at(3))
    assert source().to("meta").device.type == "meta"


@pytest.mark.parametrize(("x", "y", "line"), [
    (torch.zeros(3, 2), torch.zeros(4, dtype=torch.int64), "as many rows of x as of y"),
    (torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), "at least one"),
    (torch.tensor([[0.0], [float("nan")]]), torch.tensor([0, 1]), "x is NaN or infinite in 1 of 2 rows, first in row 1"),
    (torch.zeros(2, 1), torch.tensor([1.0, float("inf")]), "y is NaN or infinite in 1 of 2 rows, first in row 1"),
    (torch.zeros(2, 1), torch.tensor([0, 3]), "label 3 of row 1 is out of range: expected 0 to 1"),
    (torch.zeros(2, 1), torch.tensor([-1, 0]), "label -1 of row 0 is out of range"),
    (torch.zeros(2, 1), torch.zeros(2, 2, dtype=torch.int64), r"expected labels \(N,\)"),
    (torch.zeros(2, 1, dtype=torch.complex64), None, "expected x as numbers or bytes, got torch.complex64"),
    (torch.zeros(2, 1, dtype=torch.bool), None, "expected x as numbers or bytes, got torch.bool"),
    (np.array([[1], ["a"]], dtype=object), None, "expected x as numbers or bytes, got object, the first of type int"),
    (np.array(["a", "b"]), None, "expected x as numbers or bytes, got <U1"),
    ([[1.0], [1.0, 2.0]], None, "x has rows of different shapes"),
    (np.float32(3), None, "expected rows of x, got one number"),
    (np.zeros((2, 1)), ["cat", "cow"], "label 'cow' of row 1 is none of the classes cat, dog"),
    (np.zeros((2, 1)), ["cat", None], "the label of row 1 is missing"),
    (np.zeros((2, 1)), np.array(["cat", 3], dtype=object), "expected labels as words or numbers, got int in row 1"),
    (np.zeros((2, 1)), [0.0, 0.5], "label 0.5 of row 1 is not a whole number"),
    (pd.DataFrame({"a": [1, 2], "w": ["p", "q"]}), None, r"expected columns of numbers, got 'w' \((str|object)\)"),
    (np.array([[1.0], [1e300]]), None, "x is NaN or infinite in 1 of 2 rows, first in row 1"),
    ((1, 2, 3), None, "expected x, or x and y, got 3 arrays"),
])
def test_bad_arrays_are_refused_in_one_line(x, y, line):
    with pytest.raises(ValueError, match=line):
        arrays(x, y, classes=["cat", "dog"])


def test_arrays_take_numpy_and_values_to_predict():
    data = arrays(np.arange(6.0).reshape(3, 2), np.array([0.5, 1.5, 2.5]), batch=3, shuffle=False)
    x, y = data.at(0)
    assert x.dtype == y.dtype == torch.float32
    assert y.tolist() == [0.5, 1.5, 2.5]
    assert data.classes == []


X, Y = np.arange(20, dtype=np.float32).reshape(10, 2), np.arange(10) % 2


class Items(torch.utils.data.Dataset):
    """A torch data set."""

    def __init__(self, item):
        self.item = item

    def __len__(self):
        return 10

    def __getitem__(self, i):
        return self.item(i)


@pytest.mark.parametrize(("x", "y"), [
    (X, Y), (torch.tensor(X), torch.tensor(Y)), (X.tolist(), Y.tolist()), ((X, Y), None), (X[::-1], Y[::-1]), (np.asfortranarray(X), Y),
    (X.astype(">f8"), Y.astype(">i2")), (X.astype(np.longdouble), Y.astype(np.uint8)), (X.astype(np.uint16), Y.astype(bool)),
    (X, np.array(["0", "1"])[Y]), (X, [str(k) for k in Y]), (pd.DataFrame(X), pd.Series(Y)), (pd.DataFrame(X), pd.DataFrame({"y": Y})),
    (torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y)), None), (Items(lambda i: (X[i], int(Y[i]))), None),
    (Items(lambda i: [torch.tensor(X[i]), torch.tensor(Y[i])]), None), (Items(lambda i: X[i]), Y)])
def test_arrays_from_what_users_have(x, y):
    data = arrays(x, y, batch=10, shuffle=False)
    seen, labels = data.at(0)
    backwards = isinstance(x, np.ndarray) and x[0, 0] > 0
    assert torch.equal(seen, torch.tensor(X[::-1].copy() if backwards else X))
    assert labels.tolist() == (Y[::-1] if backwards else Y).tolist()
    assert (seen.dtype, labels.dtype, len(data.classes)) == (torch.float32, torch.int64, 2)


def test_a_read_only_array_is_not_shared_or_warned_of(recwarn):
    x = X.copy()
    x.flags.writeable = False
    arrays(x, batch=2).at(0)
    assert not recwarn


def test_words_and_truths_are_classes_by_name():
    assert arrays(X, ["dog", "cat"] * 5).classes == ["cat", "dog"]
    assert arrays(X, ["dog", "cat"] * 5, classes=["dog", "cat"], shuffle=False, batch=2).at(0)[1].tolist() == [0, 1]
    assert arrays(X, Y == 1).classes == ["False", "True"]
    assert arrays(X, [0.0, 1.0] * 5, classes=["cat", "dog"], batch=2, shuffle=False).at(0)[1].dtype == torch.int64
    assert arrays(X, [0.0, 1.0] * 5).classes == []


def test_arrays_from_files(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "xy.npz", x=X, y=Y)
    np.savez(tmp_path / "one.npz", anything=X)
    np.savez(tmp_path / "split.npz", x_train=X[:7], y_train=Y[:7], x_test=X[7:], y_test=Y[7:])
    np.savez(tmp_path / "odd.npz", a=X, b=X)
    np.save(tmp_path / "objects.npy", np.array([{}, {}]), allow_pickle=True)
    (tmp_path / "bad.npz").write_bytes(b"hello")
    for name, labels in (("x.npy", [0] * 10), ("xy.npz", Y.tolist()), ("one.npz", [0] * 10), ("split.npz", Y.tolist())):
        seen, y = arrays(tmp_path / name, batch=10, shuffle=False).at(0)
        assert torch.equal(seen, torch.tensor(X))
        assert y.tolist() == labels
    assert [arrays(tmp_path / "split.npz", split=split).count for split in ("train", "test")] == [7, 3]
    for name, line in (("odd.npz", "expected arrays named x and y, or one array, found a, b"), ("bad.npz", "bad.npz is damaged"),
                       ("objects.npy", "it holds Python objects, which are not loaded")):
        with pytest.raises(ValueError, match=line):
            arrays(tmp_path / name).at(0)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        arrays(tmp_path / "none.npy").at(0)
    with pytest.raises(ValueError, match=r"or the path of a \.npy or \.npz file"):
        arrays("x.csv")


def test_an_array_file_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("deepcanon.data.downloads.LIMIT", 1_000)
    np.savez_compressed(tmp_path / "zeros.npz", x=np.zeros((1_000, 10)))
    with pytest.raises(ValueError, match=r"unpacks to 80,[0-9]+ bytes, more than the 1,000 allowed"):
        arrays(tmp_path / "zeros.npz").at(0)


def test_arrays_are_split_once_and_each_class_has_its_share():
    x, y = torch.arange(100.0)[:, None], (torch.arange(100) >= 90).long()
    train, test = (arrays(x, y, split=split, batch=100) for split in ("train", "test"))
    assert (train.count, test.count, int(train.at(0)[1].sum()), int(test.at(0)[1].sum())) == (80, 20, 8, 2)
    assert sorted(torch.cat([train.at(0)[0], test.at(0)[0]]).flatten().tolist()) == list(range(100))
    assert test.at(0)[0].flatten().tolist() == sorted(test.at(0)[0].flatten().tolist())
    assert not torch.equal(train.at(0)[0], arrays(x, y, split="train", batch=100, seed=1).at(0)[0])
    with pytest.raises(ValueError, match="1 rows are too few to leave one for the test split"):
        arrays(x[:1], split="test")


@pytest.mark.parametrize(("source", "line"), [
    (Items(lambda i: "word"), "item 0 of Items holds a str, expected a tensor"), (Items(lambda i: (X[i], 1, 2)), "got 3 values in item 0"),
    (Items(lambda i: torch.zeros(i + 1)), r"item 1 of Items has the shape \(2,\), item 0 has \(1,\)"),
    (torch.utils.data.DataLoader(Items(lambda i: X[i])), "a DataLoader gives batches and no rows: pass it to batches_of"),
    (Items(lambda i: torch.zeros(1).expand(2**30)), "Items holds 40 GB, more than fits in memory")])
def test_torch_data_sets_that_are_refused(source, line):
    with pytest.raises(ValueError, match=line):
        arrays(source)


def test_batches_of_any_iterable():
    batches = [[torch.zeros(2, 1), torch.zeros(2)], {"x": torch.zeros(2)}]
    stream = batches_of(batches)
    assert len(stream) == 2
    for _ in range(2):
        pair, other = stream
        assert isinstance(pair, tuple)
        assert other is batches[1]
    items = Items(lambda i: X[i])
    assert len(batches_of(torch.utils.data.DataLoader(items, batch_size=5))) == 2
    with pytest.raises(ValueError, match="a generator is used up after one pass"):
        batches_of(x for x in batches)
    with pytest.raises(ValueError, match="expected an iterable of batches, got int"):
        batches_of(3)


@pytest.mark.parametrize(("call", "line"), [
    (lambda: images("minst"), "unknown data set 'minst'; did you mean 'mnist'?"),
    (lambda: images("tinyshakespeare"), "unknown data set 'tinyshakespeare'"),
    (lambda: text("tinyshakespear"), "did you mean 'tinyshakespeare'?"),
    (lambda: images("digits", split="val"), "split must be 'train' or 'test', got 'val'"),
    (lambda: images("digits", batch=0), "batch must be at least 1, got 0"),
    (lambda: images("digits", size=0), "size must be at least 1"),
    (lambda: images("digits").shard(2, 2), "rank must be in 0..1, got 2"),
    (lambda: text("pydoc", split="all"), "split must be 'train', 'val' or 'test'"),
    (lambda: arrays(torch.zeros(3, 2), split="val"), "split must be 'train', 'test' or None"),
    (lambda: text("pydoc", context=0), "at least 1"),
])
def test_bad_calls_are_refused_in_one_line(call, line):
    with pytest.raises(ValueError, match=line) as error:
        call()
    assert "\n" not in str(error.value)
