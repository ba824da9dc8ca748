"""Windows of text by characters."""

import gzip
import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from deepcanon.data import describe_text, text
from deepcanon.data.notices import DataNotice

POEM = "äöü twinkle, twinkle, little star\n" * 40


@pytest.fixture
def poem(tmp_path):
    path = tmp_path / "poem.txt"
    path.write_text(POEM, encoding="utf-8")
    return str(path)


def test_windows_are_the_text_and_targets_are_one_later(poem):
    data = text(poem, context=20, batch=6)
    x, y = data.at(4)
    assert x.shape == y.shape == (6, 20)
    assert x.dtype == y.dtype == torch.int64
    assert torch.equal(x[:, 1:], y[:, :-1])
    assert all(data.tokenizer.decode(row) in POEM for row in x)


def test_validation_windows_are_the_last_tenth_without_gap_or_overlap(poem):
    data = text(poem, context=7, batch=4, split="val")
    tail = POEM[int(0.9 * len(POEM)) :]
    seen = "".join(data.tokenizer.decode(x.flatten()) for x, _ in data)
    assert tail.startswith(seen)
    assert len(tail) - len(seen) <= 7
    assert [len(x) for x, _ in data][-1] <= 4


def test_every_place_of_the_training_part_is_reached(poem):
    data = text(poem, context=8, batch=256)
    starts = torch.cat([data.starts(step) for step in range(40)])
    assert (starts.min(), starts.max()) == (0, data.count - 9)


def test_tokenizer_round_trip_and_unknown_character(poem):
    tokenizer = text(poem).tokenizer
    assert tokenizer.vocabulary == sorted(set(POEM))
    assert tokenizer.decode(tokenizer.encode("little ü")) == "little ü"
    with pytest.raises(ValueError, match="character 'Z' is not in the vocabulary of"):
        tokenizer.encode("Zoo")


def test_pydoc_is_english():
    data = text("pydoc", context=64, batch=8)
    assert data.count > 300_000
    assert "the" in data.tokenizer.decode(data.at(0)[0].flatten())


def test_more_characters_than_a_byte_can_number(tmp_path):
    path = tmp_path / "many.txt"
    path.write_text("".join(map(chr, range(0x4E00, 0x4E00 + 900))) * 2, encoding="utf-8")
    data = text(str(path), context=10)
    assert len(data.tokenizer.vocabulary) == 900
    assert torch.cat([x for x, _ in data]).max() > 255


@pytest.mark.parametrize(("content", "error", "line"), [
    (b"abc\xffbroken", ValueError, "bad.txt: expected UTF-8 text, found the byte 0xff at position 3"),
    ("straße".encode("latin-1") * 200, ValueError, "found the byte 0xdf at position 4; if it has another encoding, set encoding="),
    (b"\xff\xfea\0b\0c", ValueError, "expected UTF-16 text"),
    (b"too short", ValueError, "has 9 characters, too few for a window of 64 . 1 in its last tenth.*; expected 641 or more"),
    (b"x" * 640, ValueError, "has 640 characters, too few for a window of 64 . 1"),
    (b"", ValueError, "has 0 characters"),
    (b"abc\0" * 1_000, ValueError, "found a NUL character at position 3; this is a binary file"),
    (None, FileNotFoundError, "there is no file"),
])
def test_bad_files_are_refused_in_one_line(tmp_path, content, error, line):
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content)
    for split in ("train", "val"):
        with pytest.raises(error, match=line) as raised:
            text(str(path), split=split).at(0)
        assert "\n" not in str(raised.value)


def test_the_shortest_text_has_a_window_in_both_parts():
    string = "abcdefghij" * 64 + "k"
    train, val = (text(io.StringIO(string), context=64, split=split, batch=1) for split in ("train", "val"))
    assert (train.count, val.count, len(val)) == (576, 65, 1)
    assert val.at(0)[1].shape == (1, 64)


def test_the_position_of_a_wrong_byte_counts_from_the_start_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("deepcanon.data.downloads.CHUNK", 7)
    path = tmp_path / "late.txt"
    path.write_bytes("äöü".encode() * 10 + b"\xe4 " + b"a" * 10)
    with pytest.raises(ValueError, match="found the byte 0xe4 at position 60"):
        text(path).at(0)


@pytest.mark.parametrize(("encode", "encoding"), [
    ("utf-8", None), ("utf-8-sig", None), ("utf-16", None), ("utf-32", None), ("utf-16-le", "utf-16-le"), ("latin-1", "latin-1"), ("utf-8", "UTF8")])
@pytest.mark.parametrize("chunk", [5, 4 * 2**20])
def test_encodings_are_honoured(tmp_path, monkeypatch, encode, encoding, chunk):
    monkeypatch.setattr("deepcanon.data.downloads.CHUNK", chunk)
    path = tmp_path / "poem.txt"
    path.write_bytes(POEM.encode(encode))
    data = text(path, encoding=encoding, context=16)
    assert data.tokenizer.decode(torch.cat([data.ids, text(path, encoding=encoding, context=16, split="val").ids])) == POEM


def test_windows_line_ends_are_one_character_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr("deepcanon.data.downloads.CHUNK", 8)
    path = tmp_path / "dos.txt"
    path.write_bytes(b"1234567\r\nab\rc\n" * 100)
    data = text(path, context=8)
    with pytest.warns(DataNotice, match="line ends"):
        assert data.tokenizer.vocabulary == sorted(set("1234567\nabc"))
    assert data.tokenizer.decode(data.ids[:13]) == "1234567\nab\nc\n"
    assert data.metadata["notes"]


def test_a_folder_is_read_in_order_and_what_is_left_out_is_said(tmp_path):
    files = {"b.txt": "second " * 20, "a/z.md": "first " * 20, "c.TXT": "third " * 20, "a/picture.png": "no", ".git/x.txt": "no"}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "d.txt.gz").write_bytes(gzip.compress(b"fourth " * 20))
    with pytest.warns(DataNotice, match=r"left out 1 file that are no text: .png"):
        described = describe_text(tmp_path)
    assert (described["texts"], described["kind"]) == (4, "text")
    data = text(tmp_path, context=4, batch=1_000)
    whole = data.tokenizer.decode(data.ids) + data.tokenizer.decode(text(tmp_path, context=4, split="val").ids)
    assert whole == "\n".join(word * 20 for word in ("first ", "second ", "third ", "fourth "))
    assert text([tmp_path / "b.txt", tmp_path / "a" / "z.md"], context=4).tokenizer.vocabulary == sorted(set("first second \n"))


def test_files_of_a_folder_that_cannot_be_read_are_named_together(tmp_path):
    (tmp_path / "good.txt").write_text("fine " * 100)
    (tmp_path / "one.txt").write_bytes(b"\xff")
    (tmp_path / "two.md").write_bytes(b"a\0b")
    with pytest.raises(ValueError, match=r"2 files of 3 cannot be read: one.txt: .*0xff at position 0.*; two.md: found a NUL") as error:
        text(tmp_path).at(0)
    assert "\n" not in str(error.value)
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "x.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"found no text .*, only \.png; pass a list of paths"):
        text(tmp_path / "only").at(0)


@pytest.mark.parametrize("source", [
    io.StringIO("one\ntwo " * 50), ["one", "two " + "one\ntwo " * 49], pd.Series(["one", "two " + "one\ntwo " * 49]),
    pd.DataFrame({"n": [1, 2], "body": ["one", "two " + "one\ntwo " * 49]}), np.array(["one", "two " + "one\ntwo " * 49]),
    pd.DataFrame({"title": ["p", "q"], "text": ["one", "two " + "one\ntwo " * 49]}),
    type("HuggingFace", (dict,), {"column_names": ["text"]})(text=["one", "two " + "one\ntwo " * 49])])
def test_texts_from_objects(source):
    data = text(source, context=8)
    assert data.tokenizer.decode(data.ids) == ("one\ntwo " * 50)[: data.count]
    assert data.count == 360


@pytest.mark.parametrize(("source", "line"), [
    ("hello\nworld", "expected a name or a path, got a text of 11 characters; pass it as io.StringIO"),
    ("hello world", "unknown data set 'hello world'"), (["one", 2], "expected strings, got int in row 2 of 2"), ([], "a string or more, got none"),
    (7, "expected a name, a path, io.StringIO or strings, got int"), ({"a": 1}, "got dict"), (b"bytes", "got bytes"),
    (pd.DataFrame({"a": ["x"], "b": ["y"]}), "expected one column of strings, or one named text, found the columns a, b"),
    (pd.Series(["a", None], dtype=object), "expected strings, got NoneType in row 2")])
def test_objects_that_are_no_text(source, line):
    with pytest.raises(ValueError, match=line) as error:
        text(source)
    assert "\n" not in str(error.value)


def test_a_large_text_takes_little_more_memory_than_its_bytes(tmp_path):
    path = tmp_path / "large.txt"
    path.write_bytes("The quick brown fox jumps över the lazy dog.\n".encode() * 1_000_000)
    code = ("import resource, sys; from deepcanon.data import text; peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024; "
            "text('pydoc').at(0); before = peak(); data = text(sys.argv[1]); data.at(0); assert data.count == 40_500_000; print(peak() - before)")
    run = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    assert int(run.stdout) < 5 * 46_000_000


def test_a_packed_text_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("deepcanon.data.downloads.LIMIT", 1_000_000)
    path = tmp_path / "zeros.txt.gz"
    path.write_bytes(gzip.compress(b"0" * 20_000_000))
    with pytest.raises(ValueError, match="unpacks to more than the 1,000,000 bytes"):
        text(path).at(0)


def test_a_file_that_changes_is_read_again(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abc" * 500)
    assert text(path, context=8).tokenizer.vocabulary == ["a", "b", "c"]
    path.write_text("xyz" * 600)
    assert text(path, context=8).tokenizer.vocabulary == ["x", "y", "z"]


def test_a_description_of_a_text():
    described = describe_text("pydoc")
    assert described["train"] + described["val"] == described["characters"] == text("pydoc").count + text("pydoc", split="val").count
    assert described["vocabulary"] == text("pydoc").tokenizer.vocabulary
    assert text("pydoc", split="test").key == text("pydoc", split="val").key
