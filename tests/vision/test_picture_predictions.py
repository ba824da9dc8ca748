"""Masks, overlays and captions of a user's own pictures from a saved run, and the pictures themselves."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
import torch
from PIL import Image
from torch import nn

from deepcanon import recipes
from deepcanon.cli import main
from deepcanon.data import open_data
from deepcanon.data.caption_data import opened
from deepcanon.engine import options
from deepcanon.engine.mask_pictures import coloured, overlay, palette, palette_png
from deepcanon.engine.word_pictures import words_png
from deepcanon.exporting import export
from deepcanon.picture_evaluations import Sentences
from deepcanon.predictions import as_csv, predict


@pytest.fixture
def scans(workplace):
    """Ten pictures of two sizes with a bright block, their masks, and captions."""
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (workplace / "scans" / folder).mkdir(parents=True)
    for i in range(10):
        height, width = (24, 30) if i % 2 else (28, 20)
        y = np.zeros((height, width), np.uint8)
        y[4:16, 3 + i % 5 : 12 + i % 5] = 255
        x = (40 + 160 * (y > 0)[..., None] + rng.integers(0, 20, (height, width, 3))).astype(np.uint8)
        Image.fromarray(x).save(workplace / "scans" / "images" / f"{i}.png")
        Image.fromarray(y).save(workplace / "scans" / "masks" / f"{i}.png")
    rows = [f"{i}.png,a bright block here" for i in range(10)]
    (workplace / "scans" / "images" / "captions.csv").write_text("\n".join(["file,caption", *rows]))
    return "./scans"


def trained(name: str, data: str, **settings):
    with options(quiet=True):
        return getattr(recipes, name)(data, **settings)


@pytest.mark.row("VIS-25")
def test_masks_have_the_size_of_their_pictures_and_the_labels_as_indices(scans):
    run = trained("segment", scans, size=16, width=4, batch=4, steps=60, lr=1e-2, ema=0.5, zoom=0.0, light=0.0)
    found = predict(run.folder, "scans/images")
    rows = list(csv.reader(io.StringIO(as_csv(found))))
    assert rows[0] == ["example", "background", "object"]
    assert found.path.read_bytes() == as_csv(found).encode()
    for name, share, row in zip(found.names, found.outputs, rows[1:]):
        stem = name.rpartition("/")[2].removesuffix(".png")
        with Image.open(found.path.parent / f"{stem}_mask.png") as mask, Image.open(name) as picture:
            assert (mask.mode, mask.size) == ("P", picture.size)
            labels = np.asarray(mask)
        assert set(np.unique(labels)) <= {0, 1}
        assert share[1].item() == pytest.approx((labels == 1).mean())
        assert row == [name, f"{share[0]:.4f}", f"{share[1]:.4f}"]
        truth = np.asarray(Image.open(f"scans/masks/{stem}.png")) > 0
        assert ((labels == 1) & truth).sum() / ((labels == 1) | truth).sum() > 0.6
        assert (found.path.parent / f"{stem}_overlay.png").is_file()
    assert len(found.names) == 10


@pytest.mark.row("VIS-26")
def test_objects_are_numbered_and_counted(scans, capsys):
    run = trained("segment_instances", scans, size=16, width=4, batch=4, steps=2)
    assert main(["predict", str(run.folder), "scans/images/1.png", "--out", "there/p.csv"]) in (0, None)
    assert capsys.readouterr().out.strip() == "there"
    rows = list(csv.reader(Path("there/p.csv").read_text().splitlines()))
    labels = np.asarray(Image.open("there/1_mask.png"))
    assert labels.shape == (24, 30)
    assert rows == [["example", "objects"], ["scans/images/1.png", str(len(set(np.unique(labels)) - {0}))]]


@pytest.mark.row("VIS-33", "VIS-34")
def test_captions_and_where_they_looked(scans):
    run = trained("caption", scans + "/images", size=16, width=4, hidden=12, batch=4, steps=80)
    found = predict(run.folder, ["scans/images/0.png", "scans/images/1.png"])
    assert as_csv(found).splitlines() == ["example,caption", "scans/images/0.png,a bright block here", "scans/images/1.png,a bright block here"]
    assert Image.open(found.path.parent / "1_words.png").width > 100
    evaluation = (run.folder / "evaluation" / "captions.csv").read_text().splitlines()
    assert evaluation[0] == "file,caption,truth"
    assert all(line.endswith(",a bright block here,a bright block here") for line in evaluation[1:])
    assert run.results["bleu"] == run.results["exact"] == 1


class Parrot(nn.Module):
    """A captioner that says two sentences in turn."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def generate(self, x, beam):
        return [("a seven above a two", "a one left of an eight left of a nine")[i % 2] for i in range(len(x))]


@pytest.mark.row("VIS-33")
def test_captions_are_scored_as_sacrebleu_does(embedded_only):
    found = Sentences(open_data("digit_captions", "captions"), beam=1)(Parrot())
    said, texts = Parrot().generate(range(200), 1), [text for (text,) in opened("digit_captions", "test").texts]
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(said, [texts]).score / 100, rel=1e-6)
    assert found["bleu"] > 0.1
    assert found["exact"] == sum(a == b for a, b in zip(said, texts)) / 200


def test_a_segmenter_is_exported_as_its_probabilities(scans):
    run = trained("segment", scans, size=16, width=4, batch=4, steps=1)
    program = torch.export.load(export(run.folder) / "model.pt2").module()
    x = torch.rand(3, 3, 16, 16)
    torch.testing.assert_close(program(x), run.method.predict(x), atol=1e-5, rtol=1e-4)


def test_a_picture_that_cannot_be_read_is_named(scans):
    run = trained("segment", scans, size=16, width=4, batch=4, steps=1)
    with open("bad.png", "w") as file:
        file.write("no picture")
    for name, message in (("bad.png", r"^bad\.png cannot be read: not an image in a known format$"), ("none.png", "none.png: there is no such file")):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            predict(run.folder, ["scans/images/1.png", name])


def test_colours_tell_labels_apart():
    colours = palette()
    assert colours[0].tolist() == [0, 0, 0]
    assert colours[255].tolist() == [255, 255, 255]
    assert len(colours.unique(dim=0)) > 250
    assert torch.pdist(colours[:12].float()).min() > 25
    assert palette(background=False)[0].any()
    y = torch.tensor([[[0, 1], [255, 300]]])
    assert torch.equal(coloured(y)[0, :, 0, 1], colours[1] / 255)
    assert torch.equal(coloured(y)[0, :, 1, 1], colours[46] / 255)                   # 300 objects begin anew after 254


def test_overlays_leave_the_background_clear():
    x, y = torch.rand(1, 1, 2, 2), torch.tensor([[[0, 1], [2, 255]]])
    drawn = overlay(x, y)
    assert drawn.shape == (1, 3, 2, 2)
    assert torch.equal(drawn[0, :, 0, 0], x[0, :, 0, 0].expand(3))
    torch.testing.assert_close(drawn[0, :, 1, 0], 0.45 * x[0, 0, 1, 0] + 0.55 * palette()[2] / 255)
    assert not torch.equal(overlay(x, y, background=False)[0, :, 0, 0], x[0, :, 0, 0].expand(3))


def test_a_palette_file_keeps_its_numbers():
    y = torch.arange(12).view(3, 4)
    with Image.open(io.BytesIO(palette_png(y))) as picture:
        assert picture.mode == "P"
        assert np.array_equal(np.asarray(picture), y.numpy())
        assert np.array_equal(np.asarray(picture.convert("RGB"))[1, 2], palette()[6].numpy())
    with Image.open(io.BytesIO(palette_png(y + 300))) as picture:
        assert np.array_equal(np.asarray(picture), y.numpy() + 300)


def test_words_are_drawn_in_rows_of_six():
    sizes = [Image.open(io.BytesIO(words_png(torch.rand(1, 8, 8), ["a"] * n, torch.rand(n, 2, 2)))).size for n in (2, 5, 6)]
    assert sizes[0][0] < sizes[1][0] == sizes[2][0]
    assert sizes[2][1] > 1.8 * sizes[1][1]
