"""Images with captions: the forms of the table, words and numbers, splits, and what is refused by name."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from deepcanon.data import captions, describe, open_data
from deepcanon.data.caption_data import opened, words_of
from deepcanon.data.image_notices import collected

TEXTS = {"a.png": ["A red apple, on a table.", "An apple"], "b.png": ["a pear"], "c.png": ["two pears"], "d.png": ["a red pear"],
         "e.png": ["an apple; red!"], "f.png": ["The pear's stalk"]}


def pictures(root, names=TEXTS, size: int = 12) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((size, size, 3), 20 * i % 256, np.uint8)).save(root / name)


def quoted(text: str) -> str:
    return f'"{text}"' if "," in text or ";" in text else text


FORMS = {
    "captions.csv": "file,caption\n" + "".join(f"{n},{quoted(t)}\n" for n, ts in TEXTS.items() for t in ts),
    "captions.tsv": "image\ttext\n" + "".join(f"{n}\t{t}\n" for n, ts in TEXTS.items() for t in ts),
    "captions.txt": "image_name|number|comment\n" + "".join(f"{n}|{i}|{t}\n" for n, ts in TEXTS.items() for i, t in enumerate(ts)),
    "captions.json": json.dumps(TEXTS),
    "captions_list.json": json.dumps([{"file": n, "captions": ts} for n, ts in TEXTS.items()]),
    "captions_coco.json": json.dumps({"images": [{"id": 7 * i, "file_name": n} for i, n in enumerate(TEXTS)],
                                      "annotations": [{"image_id": 7 * i, "caption": t} for i, ts in enumerate(TEXTS.values()) for t in ts]}),
}


@pytest.mark.row("VIS-33")
@pytest.mark.parametrize("name", FORMS)
def test_forms_of_the_table(tmp_path, name):
    pictures(tmp_path)
    (tmp_path / name).write_text(FORMS[name], encoding="utf-8")
    for source in (tmp_path, tmp_path / name):
        data = captions(str(source), split=None, shuffle=False, batch=10)
        x, words = data.at(0)
        assert (data.count, x.shape, words.dtype) == (7, (7, 3, 12, 12), torch.int64)
        split = opened(str(source), None)
        assert split.texts == list(TEXTS.values())
        assert [round(float(v) * 255) for v in x[:, 0, 0, 0]] == [0, 0, 20, 40, 60, 80, 100]
        vocabulary = data.metadata["vocabulary"]
        said = [" ".join(vocabulary[k] for k in row if k > 2) for row in words.tolist()]
        texts = [" ".join(w if w in vocabulary else "<unk>" for w in words_of(t)) for ts in TEXTS.values() for t in ts]
        assert said == texts
        assert (words == 2).sum(1).tolist() == [1] * 7
        assert all(row[len(words_of(t)) + 1:] == [0] * (words.shape[1] - len(words_of(t)) - 1)
                   for row, t in zip(words.tolist(), [t for ts in TEXTS.values() for t in ts]))


@pytest.mark.row("VIS-33")
def test_words_of_a_caption():
    assert words_of("Two dogs -- a brown_one & the other's, 3 of them!") == ["two", "dogs", "a", "brown", "one", "the", "other's", "3", "of", "them"]
    assert words_of("Ein Mädchen läuft.") == ["ein", "mädchen", "läuft"]


def test_the_vocabulary_is_that_of_the_training_captions_and_unknown_words_are_counted(tmp_path):
    pictures(tmp_path)
    rows = [f"{n},{quoted(ts[0])},{'test' if n in 'ef.png' else 'train'}" for n, ts in TEXTS.items()]
    rows = [row if not row.startswith(("e", "f")) else row.replace("train", "test") for row in rows]
    (tmp_path / "captions.csv").write_text("\n".join(["file,caption,split", *rows]))
    with collected() as lines:
        train, test = (captions(str(tmp_path), split=s, shuffle=False) for s in ("train", "test"))
        assert train.metadata["vocabulary"] == test.metadata["vocabulary"]
        assert train.metadata["vocabulary"][4:] == sorted({"a", "red", "apple", "on", "table", "pear", "two", "pears"})
    assert (train.count, test.count) == (4, 2)
    assert train.metadata["unknown"] == 0
    assert test.metadata["unknown"] == 4                                             # an, the, pear's, stalk
    assert any("4 words of the test captions, of 6, not in the vocabulary of 12: <unk>" in line for line in lines)
    rare = captions(str(tmp_path), min_count=2)
    assert rare.metadata["vocabulary"][4:] == ["a", "pear", "red"]
    with pytest.raises(ValueError, match="no word stands 9 times in the training captions"):
        captions(str(tmp_path), min_count=9).at(0)


def test_an_image_is_in_one_split_with_all_of_its_captions(tmp_path):
    names = {f"{i}.png": [f"number {i}", f"the number {i}"] for i in range(30)}
    pictures(tmp_path, names)
    (tmp_path / "captions.json").write_text(json.dumps(names))
    train, test = (opened(str(tmp_path), split) for split in ("train", "test"))
    assert not set(train.names) & set(test.names)
    assert len(train.names) + len(test.names) == 30
    assert 2 <= len(test.names) <= 10
    assert captions(str(tmp_path), split="test").count == 2 * len(test.names)


def test_pictures_are_resized_and_those_without_a_caption_are_said(tmp_path):
    pictures(tmp_path / "photos", size=200)
    Image.new("L", (9, 9)).save(tmp_path / "photos" / "lonely.png")
    (tmp_path / "captions.csv").write_text(FORMS["captions.csv"])
    with collected() as lines:
        assert captions(str(tmp_path)).shape == (3, 64, 64)
    assert any("1 picture without a caption, left out: photos/lonely.png" in line for line in lines)
    assert any("6 pictures, the middle square of each resized to 64 x 64" in line for line in lines)
    assert captions(str(tmp_path), size=20, channels=1).shape == (1, 20, 20)
    assert captions(str(tmp_path), size=None).shape == (3, 200, 200)


@pytest.mark.parametrize(("text", "message"), [
    ("file,caption\na.png,an apple\nz.png,a zebra\n", r"captions\.csv: 1 picture with captions not there: z\.png"),
    ("file,caption\na.png,\n", r"caption 1 \(a\.png\) is empty"),
    ("file,caption\na.png,...\n", r"caption 1 \(a\.png\) is empty"),
    ("file,caption\na.png,red, round\n", r"row 1 has 3 cells, expected 2; put captions with commas in quotes"),
    ("name,words\na.png,red\n", "expected the columns file and caption, got name, words"),
    ("", "expected the columns file and caption, got nothing"),
    ("file,caption\n", "has no captions"),
    ("file,caption,split\na.png,red,train\nb.png,red,\n", r"some rows have no split: b\.png")])
def test_tables_that_are_none(tmp_path, text, message):
    pictures(tmp_path)
    (tmp_path / "captions.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        captions(str(tmp_path)).at(0)


def test_json_that_is_none(tmp_path):
    pictures(tmp_path)
    for text, message in ((b"{", r"captions\.json is no JSON"), (b"[1]", "entry 1 has no file and caption"), (b"\xff\xfe", "not a text in UTF-8"),
                          (b'{"images": [], "annotations": [{"image_id": 3, "caption": "x"}]}', "captions of images that are not listed: 3")):
        (tmp_path / "captions.json").write_bytes(text)
        with pytest.raises(ValueError, match=message):
            captions(str(tmp_path)).at(0)


def test_what_is_not_there(tmp_path):
    pictures(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"has no file of captions \(expected .*captions\.csv with the columns file and caption\)"):
        captions(str(tmp_path)).at(0)
    for name in ("captions.csv", "captions.json"):
        (tmp_path / name).write_text(FORMS[name])
    with pytest.raises(FileNotFoundError, match=r"has several files that may hold captions: captions\.csv, captions\.json"):
        captions(str(tmp_path)).at(0)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        captions(str(tmp_path / "nothing")).at(0)
    with pytest.raises(ValueError, match="unknown data set 'digit_caption'; did you mean 'digit_captions'"):
        captions("digit_caption").at(0)


def test_pictures_that_cannot_be_read_are_named(tmp_path):
    pictures(tmp_path)
    (tmp_path / "c.png").write_bytes(b"no picture")
    (tmp_path / "captions.csv").write_text(FORMS["captions.csv"])
    with pytest.raises(ValueError, match=r"cannot be read: 1 picture \(c\.png: not an image in a known format\)"):
        captions(str(tmp_path)).at(0)
    pictures(tmp_path)
    Image.new("RGB", (9, 10)).save(tmp_path / "c.png")
    with pytest.raises(ValueError, match="pictures of 2 sizes; pass size="):
        captions(str(tmp_path), size=None).at(0)


def test_arrays_and_texts():
    x = np.random.default_rng(0).integers(0, 256, (20, 8, 9, 3), dtype=np.uint8)
    source = open_data((x, ["a cat", ["a dog", "one dog"]] * 10), "captions")
    assert source.shape == (3, 8, 9)
    assert source.vocabulary[4:] == ["a", "cat", "dog", "one"]
    assert source.mean == pytest.approx(0.5, abs=0.05)
    for bad, message in (((x, ["a cat"]), "got torch.uint8 .* and 1 texts"), ((x / 255, ["a cat"] * 20), "got torch.float64"),
                         ((x, [""] + ["a cat"] * 19), "expected one caption or more for each image, got .* for image 0"),
                         ((x, [[]] + ["a cat"] * 19), "for image 0"), (3, "expected a known name, a folder, a file of captions")):
        with pytest.raises(ValueError, match=message):
            captions(bad).at(0)


@pytest.mark.row("VIS-33")
def test_digit_scenes_say_what_they_show(embedded_only):
    train, test = (opened("digit_captions", split) for split in ("train", "test"))
    assert (train.x.shape, test.x.shape) == ((1000, 1, 24, 24), (200, 1, 24, 24))
    for split in (train, test):
        for x, (text,) in zip(split.x[:, 0].float(), split.texts):
            ink = x.unfold(0, 8, 8).unfold(1, 8, 8).amax((-1, -2)) > 100             # (3, 3) cells
            assert ink.sum() == text.count("a ") + text.count("an eight")
            assert ink.sum() in (1, 2, 3)
            if " above " in text:
                assert ink.any(0).sum() == 1
            if " left of " in text:
                assert ink.any(1).sum() == 1
    assert len(set(t for (t,) in train.texts)) > 300
    assert captions("digit_captions").metadata["unknown"] == captions("digit_captions", split="test").metadata["unknown"] == 0


def test_flickr8k_is_read_from_its_pack(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "flickr8k.npz", x=rng.integers(0, 256, (20, 16, 16, 3), dtype=np.uint8), name=[f"{i}.jpg" for i in range(20)],
             caption=[f"A dog number {i % 3} ." for i in range(100)], caption_image=np.arange(100, dtype=np.int32) // 5)
    monkeypatch.setenv("DEEPCANON_DATA", str(tmp_path))
    train, test = captions("flickr8k"), captions("flickr8k", split="test")
    assert train.count + test.count == 100
    assert test.metadata["images"] * 5 == test.count
    monkeypatch.delenv("DEEPCANON_DATA")
    with pytest.raises(FileNotFoundError, match=r"flickr8k cannot be fetched: put flickr8k\.npz"):
        captions("flickr8k").at(0)


def test_batches_are_split_over_ranks_and_arguments_are_checked():
    data = captions("digit_captions", batch=6)
    x, words = data.at(3)
    parts = [data.shard(rank, 2).at(3) for rank in (0, 1)]
    assert torch.equal(parts[1][0], x[1::2])
    assert torch.equal(parts[0][1], words[0::2])
    assert data.take([5, 5]).at(0)[0].shape == (2, 1, 24, 24)
    keys = {captions("digit_captions", **how).key for how in ({}, {"size": 12}, {"channels": 3}, {"min_count": 2}, {"split": "test"})}
    assert len(keys) == 5
    assert captions("digit_captions", min_count=1).key == data.key == "captions:digit_captions:train"
    with pytest.raises(ValueError, match="split must be 'train', 'test' or None, got 'val'"):
        captions("digit_captions", split="val")
    with pytest.raises(ValueError, match="min_count must be at least 1, got 0"):
        captions("digit_captions", min_count=0)


def test_what_would_be_read(tmp_path):
    pictures(tmp_path)
    (tmp_path / "captions.csv").write_text(FORMS["captions.csv"])
    about = describe(str(tmp_path))
    assert (about["kind"], about["shape"], about["example"]) == ("captions", [3, 12, 12], "a.png: A red apple, on a table.")
    (tmp_path / "captions.csv").write_text("file,caption\nz.png,a zebra\n")
    assert "not there: z.png" in describe(str(tmp_path), "captions")["problems"][0]
