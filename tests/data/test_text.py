"""Windows of text by characters."""

import pytest
import torch

from deepcanon.data import text

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
    (b"\xff\xfe\x00broken", ValueError, "expected UTF-8 text, found the byte 0xff at position 0"),
    (b"too short", ValueError, "too few for one window of 64"),
    (b"", ValueError, "has 0 characters"),
    (None, FileNotFoundError, "there is no file"),
])
def test_bad_files_are_refused_in_one_line(tmp_path, content, error, line):
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=line):
        text(str(path)).at(0)
