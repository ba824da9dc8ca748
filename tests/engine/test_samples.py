"""Samples as pictures that can be read, beside the real data."""

from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from deepcanon.engine import Adam, Samples, fit, options
from deepcanon.engine.samples import grid, layout, write_samples
from tests.engine.shapes import build


def digits(n: int) -> torch.Tensor:
    """n different images of 8 x 8 pixels."""
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0)).mul(255).round() / 255


def opened(path: Path) -> tuple[torch.Tensor, dict]:
    """Pixels (H, W, 3) of a PNG file, and what it says of itself."""
    with Image.open(path) as image:
        return torch.from_numpy(numpy.array(image.convert("RGB"))), dict(image.info)


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (5, 3), (64, 8), (100, 10)])
def test_an_image_of_a_grid_is_enlarged_by_a_whole_number_until_it_can_be_read(tmp_path, n, columns):
    pixels, info = opened(write_samples(tmp_path / "a", digits(n)))
    tile, gap = int(info["tile"]), int(info["gap"])
    assert int(info["columns"]) == columns
    assert tile >= 48
    assert tile % 8 == 0
    last = digits(n)[-1, 0]
    row, column = divmod(n - 1, columns)
    top, left = (gap + place * (tile + 2 * gap) for place in (row, column))
    shown = pixels[top : top + tile, left : left + tile, 0]
    assert torch.equal(
        shown, (last * 255).round().byte().repeat_interleave(tile // 8, 0).repeat_interleave(tile // 8, 1)
    )
    assert (pixels[:gap] == 255).all()


def test_a_wide_image_keeps_its_shape(tmp_path):
    pixels, info = opened(write_samples(tmp_path / "a", torch.zeros(4, 3, 10, 30)))
    assert int(info["tile"]) == 3 * int(info["tile_height"])
    assert pixels.shape[:2] == (2 * (int(info["tile_height"]) + 6), 2 * (int(info["tile"]) + 6))


def test_no_images_make_no_grid():
    with pytest.raises(ValueError, match=r"expected images \(n, 1 or 3, H, W\), got \(0, 1, 8, 8\)"):
        layout(torch.zeros(0, 1, 8, 8))
    with pytest.raises(ValueError, match="expected images"):
        grid(torch.zeros(4, 2, 8, 8))


def test_real_data_are_written_once_and_as_many_as_are_made(tmp_path):
    asked = []

    def real() -> torch.Tensor:
        asked.append(True)
        return digits(64)

    with options(folder=tmp_path / "run"):
        fit(
            *build("vae"),
            Adam(1e-3),
            steps=4,
            callbacks=[Samples(lambda m: torch.zeros(9, 1, 8, 8), every=2, beside=real)],
        )
    samples = tmp_path / "run" / "samples"
    assert sorted(p.name for p in samples.iterdir()) == ["0000002.png", "0000004.png", "real.png"]
    assert len(asked) == 1
    write_samples(tmp_path / "nine", digits(9))
    assert (samples / "real.png").read_bytes() == (tmp_path / "nine.png").read_bytes()


@pytest.mark.parametrize(("beside", "name"), [(digits(4), "real.png"), ("What is real.", "real.txt")])
def test_real_data_may_be_given_as_they_are(tmp_path, beside, name):
    with options(folder=tmp_path / "run"):
        fit(
            *build("vae"),
            Adam(1e-3),
            steps=1,
            callbacks=[Samples(lambda m: torch.zeros(4, 1, 8, 8), beside=beside)],
        )
    assert (tmp_path / "run" / "samples" / name).stat().st_size > 5


def test_without_real_data_there_is_no_such_file(tmp_path):
    with options(folder=tmp_path / "run"):
        fit(*build("vae"), Adam(1e-3), steps=1, callbacks=[Samples(lambda m: "made")])
    assert [p.name for p in (tmp_path / "run" / "samples").iterdir()] == ["0000001.txt"]
