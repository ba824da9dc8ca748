"""Folders of one's own pictures: which files are read, and what the folders say of classes and splits."""

import os
import re
import socket
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from deepcanon.data import folder, image_content, images
from deepcanon.data.image_notices import collected


def paint(path, level, size=(6, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), level, np.uint8)).save(path)


def tree(root, *names, each=4):
    """A few pictures in each of some folders."""
    for k, name in enumerate(names):
        for i in range(each):
            paint(root / name / f"{i}.png", 10 * k + i)
    return root


@pytest.fixture
def photos(tmp_path):
    for k, name in enumerate(["cat", "dog"]):
        for i in range(20):
            paint(tmp_path / "photos" / name / f"{i}.png", 10 * i + k)
    return tmp_path / "photos"


def levels(data):
    return sorted(int(v) for x, _ in data for v in (x[:, 0, 0, 0] * 255).round())


def counts(source):
    """Classes, and pictures a class of the train and the test split."""
    train, test = images(source, batch=1), images(source, split="test")
    assert train.classes == test.classes
    return train.classes, *(
        data.content.y.bincount(minlength=len(data.classes)).tolist() for data in (train, test)
    )


# splits


def test_a_picture_stays_in_its_split_whatever_is_added(photos):
    train, test = (images(str(photos), split=split, batch=1, shuffle=False) for split in ("train", "test"))
    assert train.classes == ["cat", "dog"]
    assert sorted(levels(train) + levels(test)) == sorted(10 * i + k for k in range(2) for i in range(20))
    before = levels(test)
    assert before == sorted(
        10 * int(p.stem) + (p.parent.name == "dog")
        for p in photos.rglob("*.png")
        if folder.is_test(p.relative_to(photos))
    )
    for i in range(20):
        paint(photos / "cat" / f"new{i}.png", 255)
    after = levels(images(str(photos), split="test", batch=1))
    assert [level for level in after if level != 255] == before
    assert 0 < after.count(255) < 20


def test_each_class_of_two_pictures_is_in_both_splits():
    for many in range(2, 12):
        names = [f"{kind}/{i}" for kind in range(40) for i in range(many)]
        labels = [kind for kind in range(40) for _ in range(many)]
        held = torch.tensor(folder.held_out(names, labels)).view(40, many).sum(1)
        assert (held > 0).all()
        assert (held < many).all()
    plain = [folder.is_test(f"a/{i}") for i in range(500)]
    assert folder.held_out([f"a/{i}" for i in range(500)], [0] * 500) == plain
    assert 70 < sum(plain) < 130
    assert folder.held_out(["a/1"], [0]) == [False]


def test_labels_follow_the_folders(photos):
    for x, y in images(str(photos), batch=4):
        assert torch.equal((x[:, 0, 0, 0] * 255).round().long() % 10, y)


@pytest.mark.parametrize(
    ("names", "train", "test"),
    [
        (("train", "test"), 1, 1),
        (("train", "val"), 1, 1),
        (("Train", "Valid"), 1, 1),
        (("training", "validation"), 1, 1),
        (("train", "eval"), 1, 1),
        (("train", "dev"), 1, 1),
        (("seg_train", "seg_test"), 1, 1),
        (("train2017", "val2017"), 1, 1),
        (("wrapped/train", "wrapped/test"), 1, 1),
        (("seg_train/seg_train", "seg_test/seg_test"), 1, 1),
    ],
)
def test_folders_of_the_splits(tmp_path, names, train, test):
    for name, level in zip(names, (1, 2), strict=True):
        tree(tmp_path, f"{name}/a/deep", f"{name}/b", each=1)
        paint(tmp_path / name / "a" / "level.png", 100 + level)
    kinds, *of = counts(tmp_path)
    assert kinds == ["a", "b"]
    assert of == [[2, 1], [2, 1]]
    assert 101 in levels(images(tmp_path, batch=1))
    assert 102 in levels(images(tmp_path, split="test"))


def test_a_validation_split_beside_the_test_split(tmp_path):
    for split, level in (("train", 1), ("val", 2), ("test", 3)):
        paint(tmp_path / split / "a" / "x.png", level)
        paint(tmp_path / split / "b" / "x.png", level)
    assert [levels(images(tmp_path, split=split, batch=2)) for split in ("train", "val", "test")] == [
        [1, 1],
        [2, 2],
        [3, 3],
    ]
    for name in ("val", "test"):
        (tmp_path / name).rename(tmp_path / f"{name}.gone")
    (tmp_path / "val.gone").rename(tmp_path / "val")
    os.rename(tmp_path / "test.gone", tmp_path.parent / f"{tmp_path.name}.gone")
    assert levels(images(tmp_path, split="test", batch=2)) == [2, 2]
    with pytest.raises(ValueError, match="has no split val; it has test and train"):
        images(tmp_path, split="val").at(0)


def test_splits_inside_the_classes(tmp_path):
    tree(tmp_path, "cat/train", "dog/train", each=3)
    tree(tmp_path, "cat/test", "dog/test", each=2)
    assert counts(tmp_path) == (["cat", "dog"], [3, 3], [2, 2])


def test_splits_without_classes_are_one_class(tmp_path):
    tree(tmp_path / "faces", "train", each=3)
    tree(tmp_path / "faces", "test", each=2)
    assert counts(tmp_path / "faces") == (["faces"], [3], [2])


# classes


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("bus", "car", "train"), ["bus", "car", "train"]),
        (("control", "test", "train"), ["control", "test", "train"]),
        (("control", "test"), ["control", "test"]),
        (("bullet_train", "freight_train"), ["bullet_train", "freight_train"]),
        (("images/cat", "images/dog"), ["cat", "dog"]),
        (("cat/indoors", "cat/outdoors/night", "dog"), ["cat", "dog"]),
        (("cat/1", "cat/2", "dog/1"), ["cat", "dog"]),
        (("cat",), ["cat"]),
        (("train",), ["train"]),
    ],
)
def test_the_class_is_the_first_folder_that_differs(tmp_path, names, classes):
    tree(tmp_path, *names, each=8)
    kinds, train, test = counts(tmp_path)
    assert kinds == classes
    assert sum(train) + sum(test) == 8 * len(names)


def test_a_folder_without_classes_is_one_class(tmp_path):
    for i in range(10):
        paint(tmp_path / "faces" / f"{i}.jpg", i)
    data = images(str(tmp_path / "faces"), batch=2)
    assert data.classes == ["faces"]
    assert data.at(0)[1].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("names", "error", "line"),
    [
        (
            ("train/a", "train/b"),
            FileNotFoundError,
            "has a folder train but no folder test; give .*train itself to keep one picture in five",
        ),
        (("test/a", "test/b"), FileNotFoundError, "has a folder test but no folder train"),
        (("val/a", "test/a"), FileNotFoundError, "has a folder test but no folder train"),
        (
            ("train/a", "train/b", "test"),
            ValueError,
            "cannot tell whether test, train are splits or classes .test holds pictures that are in no class",
        ),
        (
            ("control", "train/a", "test"),
            ValueError,
            "cannot tell whether test, train beside control .*rename a folder, or give a CSV",
        ),
        (
            ("bus", "train/a", "train/b"),
            ValueError,
            "cannot tell whether train beside bus are splits or classes",
        ),
        (("train/a", "test/a", "testing/a"), ValueError, "name one split more than once"),
        (("train/a", "train/b", "test/a"), ValueError, "class b only in train, not in test"),
        (("train/a", "test/a", "test/b", "test/c"), ValueError, "classes b, c only in test, not in train"),
        (("cat", "dog", "."), ValueError, "holds pictures beside the folders cat, dog"),
        (
            ("photos", "photos/cat", "photos/dog"),
            ValueError,
            "photos holds pictures beside the folders cat, dog",
        ),
    ],
)
def test_folders_that_cannot_be_meant_are_refused_in_one_line(tmp_path, names, error, line):
    tree(tmp_path, *names)
    for split in ("train", "test"):
        with pytest.raises(error, match=line) as raised:
            images(tmp_path, split=split).at(0)
        assert "\n" not in str(raised.value)
    assert images(tmp_path, split=None).count == 4 * len(names)


@pytest.mark.parametrize(
    ("names", "empty", "line"),
    [
        (("cat", "dog"), "zebra", "zebra has no images"),
        (("cat",), "zebra", "zebra has no images"),
        (("train/a", "train/b", "test/a", "test/b"), "test/c", "test/c has no images"),
        (("train/a", "train/b"), "test", "test has no images"),
        (("train/a", "val/a"), "test", "test has no images"),
    ],
)
def test_a_class_or_split_without_pictures_is_named(tmp_path, names, empty, line):
    tree(tmp_path, *names)
    (tmp_path / empty / "deeper").mkdir(parents=True)
    (tmp_path / empty / "deeper" / "notes.txt").write_text("no picture")
    with pytest.raises(ValueError, match=line):
        images(tmp_path).at(0)


def test_pictures_in_no_split_are_said(tmp_path):
    tree(tmp_path, "train/a", "train/b", "test/a", "test/b", "raw")
    with collected() as lines:
        assert counts(tmp_path) == (["a", "b"], [4, 4], [4, 4])
    assert (
        f"{tmp_path.name}: 4 pictures in no split, left out: raw/0.png, raw/1.png, raw/2.png and 1 more"
        in lines
    )


# files


def test_other_files_are_counted_and_said_and_hidden_ones_are_not(photos):
    for name in ("notes.txt", "cat/a.heic", "cat/b.svg", "dog/model.xyz"):
        (photos / name).write_text("x")
    for name in (
        ".DS_Store",
        "cat/._1.png",
        "Thumbs.db",
        "dog/desktop.ini",
        "__MACOSX/cat/._1.png",
        ".git/x.png",
    ):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_text("x")
    paint(photos / "dog" / "30.jfif.jpg", 3)
    (photos / "dog" / "30.jfif.jpg").rename(photos / "dog" / "30.jfif")
    with collected() as lines:
        train, test = (images(photos, split=split) for split in ("train", "test"))
        assert train.count + test.count == 41
    assert lines == ["photos: 4 files are not images: notes.txt, cat/a.heic, cat/b.svg and 1 more"]


def test_a_table_beside_pictures_without_classes_is_pointed_to(tmp_path):
    tree(tmp_path / "flat", ".", each=9)
    (tmp_path / "flat" / "labels.csv").write_text("path,label\n")
    with collected() as lines:
        images(tmp_path / "flat").at(0)
    assert f"flat: give {tmp_path / 'flat' / 'labels.csv'} to use the labels of that file" in lines


def break_files(root):
    """One file of each kind that cannot be read; name -> why."""
    (root / "empty.png").touch()
    (root / "text.png").write_text("not a picture")
    os.mkfifo(root / "pipe.png")
    (root / "folder.png").mkdir()
    (root / "loop.png").symlink_to(root / "loop.png")
    (root / "gone.png").symlink_to(root / "nowhere.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (6, 6, 3), np.uint8)).save(root / "cut.png")
    (root / "cut.png").write_bytes((root / "cut.png").read_bytes()[:-60])
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.getcwd()
        os.chdir(root)
        bound.bind("socket.png")
        os.chdir(here)
    return {
        "empty": r"empty \(0 bytes\)",
        "text": "not an image in a known format",
        "pipe": "a pipe, not a file",
        "folder": "a folder, not a file",
        "loop": "a link that leads nowhere",
        "gone": "a link that leads nowhere",
        "cut": "",
        "socket": "a socket, not a file",
    }


def test_all_that_cannot_be_read_is_listed_at_once_and_can_be_left_out(photos):
    broken = break_files(photos / "cat")
    for split in ("train", "test"):
        with pytest.raises(ValueError, match="photos: cannot be read: ") as error:
            images(photos, split=split).at(0)
        assert "\n" not in str(error.value)
        for name, why in broken.items():
            if name != "cut" or split == ("test" if folder.is_test("cat/cut.png") else "train"):
                assert re.search(f"cat/{name}.png: {why}", str(error.value))
    with collected() as lines:
        train, test = (images(photos, split=split, skip_unreadable=True) for split in ("train", "test"))
        assert train.count + test.count == 40
    assert any("left out, as they cannot be read: 7 images" in line for line in lines)
    assert any("left out, as they cannot be read: 1 image (cat/cut.png: " in line for line in lines)


def test_only_ten_unreadable_files_are_named(photos):
    for i in range(14):
        (photos / "dog" / f"bad{i:02}.png").touch()
    with pytest.raises(
        ValueError, match=r"14 images \(dog/bad00.png: .*; and 4 more\); .*skip_unreadable=True"
    ) as error:
        images(photos).at(0)
    assert str(error.value).count("empty") == 10


def test_a_link_to_a_folder_above_ends(photos):
    (photos / "cat" / "again").symlink_to(photos)
    with pytest.raises(ValueError, match="cat/again: a link to a folder that contains it"):
        images(photos).at(0)
    (photos / "cat" / "again").unlink()
    (photos.parent / "elsewhere").mkdir()
    paint(photos.parent / "elsewhere" / "linked.png", 7)
    (photos / "cat" / "more").symlink_to(photos.parent / "elsewhere")
    assert sum(images(photos, split=split).count for split in ("train", "test")) == 41


def test_what_the_test_split_needs_is_looked_at_when_training_data_are_opened(tmp_path):
    tree(tmp_path, "train/a", "test/a")
    paint(tmp_path / "test" / "a" / "0.png", 1, size=(64, 64))
    (tmp_path / "test" / "a" / "0.png").write_bytes((tmp_path / "test" / "a" / "0.png").read_bytes()[:80])
    with pytest.raises(ValueError, match=r"test/a/0.png: "):
        images(tmp_path).at(0)


def test_one_picture_cannot_be_split(tmp_path):
    paint(tmp_path / "one" / "a" / "1.png", 1)
    with pytest.raises(ValueError, match=r"one: no picture falls into the test split \(1 picture in all\)"):
        images(tmp_path / "one").at(0)
    assert images(tmp_path / "one", split=None).count == 1


def test_bad_folders_are_refused_in_one_line(tmp_path, photos):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        images("./no/such/folder").at(0)
    with pytest.raises(ValueError, match="empty has no images"):
        images(str(tmp_path / "empty")).at(0)
    (tmp_path / "empty" / "photos.zip").write_text("x")
    with pytest.raises(ValueError, match=r"empty has no images; unpack photos.zip first"):
        images(str(tmp_path / "empty")).at(0)
    paint(photos / "dog" / "1.png", 0, size=(6, 9))
    with pytest.raises(ValueError, match=r"1.png is 9 x 6 pixels but .*0.png is 6 x 6; pass size="):
        images(str(photos), size=None).at(0)


def test_without_pillow_one_line_says_what_to_install(photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "deepcanon\[vision\]"'):
        images(str(photos), size=5).at(0)


def test_streamed_and_kept_pictures_are_the_same(photos, monkeypatch):
    kept = [images(str(photos), batch=4, seed=2).shard(1, 2).at(step) for step in (0, 1, 2, 9)]
    monkeypatch.setattr(image_content, "IN_MEMORY", 0)
    data = images(str(photos), batch=4, seed=2).shard(1, 2)
    assert not isinstance(data.content.x, torch.Tensor)
    for step, (x, y) in zip((0, 1, 2, 9), kept, strict=True):
        assert torch.equal(data.at(step)[0], x)
        assert torch.equal(data.at(step)[1], y)


def test_a_folder_is_decoded_once_until_it_changes(photos, monkeypatch):
    first = images(photos).content
    monkeypatch.setattr(image_content, "decoded", None)
    assert images(photos).content.x is first.x
    monkeypatch.undo()
    paint(photos / "cat" / "0.png", 254)
    assert 254 in levels(images(photos, batch=1)) + levels(images(photos, split="test", batch=1))
