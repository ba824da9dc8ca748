"""Pictures and tables of one's own."""

import gzip
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from deepcanon.data import folder, images, table


def paint(path, level, size=(6, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), level, np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path):
    for k, name in enumerate(["cat", "dog"]):
        for i in range(20):
            paint(tmp_path / "photos" / name / f"{i}.png", 10 * i + k)
    return tmp_path / "photos"


def levels(data):
    return sorted(int(v) for x, _ in data for v in (x[:, 0, 0, 0] * 255).round())


def test_a_picture_stays_in_its_split_whatever_is_added(photos):
    train, test = (images(str(photos), split=split, batch=1, shuffle=False) for split in ("train", "test"))
    assert train.classes == ["cat", "dog"]
    assert sorted(levels(train) + levels(test)) == sorted(10 * i + k for k in range(2) for i in range(20))
    assert 2 <= test.count <= 16
    before = {path for path in photos.rglob("*.png") if folder.is_test(path.relative_to(photos))}
    paint(photos / "cat" / "new.png", 255)
    assert before <= {path for path in photos.rglob("*.png") if folder.is_test(path.relative_to(photos))}


def test_labels_follow_the_folders(photos):
    for x, y in images(str(photos), batch=4):
        assert torch.equal((x[:, 0, 0, 0] * 255).round().long() % 10, y)


def test_train_and_test_folders(tmp_path):
    for split, level in (("train", 1), ("test", 2)):
        for name in ("a", "b"):
            paint(tmp_path / split / name / "x.png", level)
    assert levels(images(str(tmp_path), split="train", batch=2)) == [1, 1]
    assert levels(images(str(tmp_path), split="test", batch=2)) == [2, 2]


def test_a_folder_without_classes_is_one_class(tmp_path):
    for i in range(10):
        paint(tmp_path / "faces" / f"{i}.jpg", i)
    data = images(str(tmp_path / "faces"), batch=2)
    assert data.classes == ["faces"]
    assert data.at(0)[1].tolist() == [0, 0]


def test_streamed_and_kept_pictures_are_the_same(photos, monkeypatch):
    kept = [images(str(photos), batch=4, seed=2).shard(1, 2).at(step) for step in (0, 1, 2, 9)]
    monkeypatch.setattr(folder, "content", lambda root, split, size: folder_content(root, split, size, 0))
    data = images(str(photos), batch=4, seed=2).shard(1, 2)
    assert not isinstance(data.content.x, torch.Tensor)
    for step, (x, y) in zip((0, 1, 2, 9), kept, strict=True):
        assert torch.equal(data.at(step)[0], x)
        assert torch.equal(data.at(step)[1], y)


folder_content = folder.content


def test_size_takes_the_middle_square(tmp_path):
    picture = np.zeros((8, 24, 3), np.uint8)
    picture[:, 8:16] = 200
    (tmp_path / "train").mkdir()
    Image.fromarray(picture).save(tmp_path / "train" / "wide.png")
    x, _ = images(str(tmp_path), size=4).at(0)
    torch.testing.assert_close(x, torch.full((1, 3, 4, 4), 200 / 255), atol=0.02, rtol=0)


def test_bad_folders_are_refused_in_one_line(tmp_path, photos):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        images("./no/such/folder").at(0)
    with pytest.raises(ValueError, match="empty has no images"):
        images(str(tmp_path / "empty")).at(0)
    (photos / "zebra").mkdir()
    with pytest.raises(ValueError, match="zebra has no images"):
        images(str(photos)).at(0)
    (photos / "zebra").rmdir()
    (photos / "cat" / "0.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"0.png is not a readable image"):
        [list(images(str(photos), split=split)) for split in ("train", "test")]
    (photos / "cat" / "0.png").unlink()
    paint(photos / "dog" / "1.png", 0, size=(6, 9))
    with pytest.raises(ValueError, match=r"1.png is 9 x 6 pixels but .* is 6 x 6; pass size="):
        [list(images(str(photos), split=split)) for split in ("train", "test")]
    (tmp_path / "half" / "train" / "a").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="has a folder train but no folder test"):
        images(str(tmp_path / "half"), split="test").at(0)


def test_a_truncated_picture_is_refused_with_its_name(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    (tmp_path / "train").mkdir()
    Image.fromarray(picture).save(tmp_path / "train" / "cut.jpg")
    (tmp_path / "train" / "cut.jpg").write_bytes((tmp_path / "train" / "cut.jpg").read_bytes()[:900])
    with pytest.raises(ValueError, match=r"cut.jpg is not a readable image"):
        images(str(tmp_path)).at(0)


def test_without_pillow_one_line_says_what_to_install(photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "deepcanon\[vision\]"'):
        images(str(photos), size=5).at(0)


ROWS = [f"{i},{i % 3},{'red' if i % 2 else 'blue'},{'yes' if i > 20 else 'no'},{i / 7}" for i in range(40)]
HEADER = "age,rooms,colour,bought,price"


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_text("\n".join([HEADER, *ROWS]) + "\n")
    return path


def test_a_table_of_classes_is_standardised_by_its_training_rows(csv):
    train, test = (table(str(csv), target="bought", split=split, batch=40) for split in ("train", "test"))
    assert (train.count, test.count) == (32, 8)
    assert train.classes == ["no", "yes"]
    assert train.metadata["columns"] == ["age", "rooms", "colour=blue", "colour=red", "price"]
    x, y = train.at(0)
    torch.testing.assert_close(x.mean(0), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(0, correction=0), torch.ones(5), atol=1e-5, rtol=0)
    age = x[:, 0].double() * train.metadata["std"][0] + train.metadata["mean"][0]
    assert torch.equal(y, (age.round() > 20).long())


def test_a_table_of_values_and_a_packed_one(csv, tmp_path):
    (tmp_path / "sales.csv.gz").write_bytes(gzip.compress(csv.read_bytes()))
    data = table(str(tmp_path / "sales.csv.gz"), target="price")
    assert data.at(0)[1].dtype == torch.float32
    assert data.classes == []
    assert table(str(csv), target="rooms").classes == ["0", "1", "2"]
    assert table(str(csv), target="rooms", values=True).at(0)[1].dtype == torch.float32


@pytest.mark.parametrize(("target", "line", "rows"), [
    ("bougth", "has no column 'bougth'; did you mean 'bought'?", ROWS),
    ("bought", "column 'age' is nan in row 3", [*ROWS[:2], "nan,1,red,yes,2", *ROWS[3:]]),
    ("bought", "column 'price' is empty in row 2", [ROWS[0], "1,1,red,yes,", *ROWS[2:]]),
    ("bought", "column 'colour' is empty in row 1", ["1,1,,yes,3", *ROWS[1:]]),
    ("price", "column 'price' is inf in row 1", ["1,1,red,yes,inf", *ROWS[1:]]),
    ("bought", "row 2 has 3 cells, expected 5", [ROWS[0], "1,2,3", *ROWS[2:]]),
    ("bought", "at least two rows, found 1 rows", []),
])
def test_bad_tables_are_refused_in_one_line(csv, target, line, rows):
    csv.write_text("\n".join([HEADER, *rows]))
    with pytest.raises(ValueError, match=line) as error:
        table(str(csv), target=target).at(0)
    assert "\n" not in str(error.value)


def test_words_cannot_be_predicted_as_values(csv):
    with pytest.raises(ValueError, match="column 'colour' holds words, expected numbers"):
        table(str(csv), target="colour", values=True).at(0)
