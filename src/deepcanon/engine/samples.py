"""What a method makes, as pictures or texts beside real data: the callback `Samples`, and grids of images."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from deepcanon.engine.callbacks import evaluation_mode
from deepcanon.engine.checkpoint import write_bytes

if TYPE_CHECKING:
    from deepcanon.engine.loop import Trainer

WIDTH, GAP = 768, 3  # pixels: of a picture at least, and around each image in it


class Samples:
    """What the method makes, every few steps and at the end: images (n, C, H, W) in [0, 1] as a grid in a PNG
    file, text in a .txt file.

    Args:
        make: method -> images or text.
        every: steps between samples; None samples at the end only.
        seed: of the random numbers that sampling draws, the same each time, so that the pictures show the
            training and not the noise.
        beside: real images or text, or a function that returns them, written once as `real.png` or
            `real.txt`; of images as many as are made.
    """

    def __init__(
        self,
        make: Callable[[Any], Tensor | str],
        every: int | None = None,
        seed: int = 0,
        *,
        beside: Tensor | str | Callable[[], Tensor | str] | None = None,
    ):
        self.make, self.every, self.seed, self.beside = make, every, seed, beside

    def step(self, trainer: Trainer) -> None:
        if self.every and trainer.step % self.every == 0:
            self.end(trainer)

    def end(self, trainer: Trainer) -> None:
        folder = trainer.log.file.parent / "samples" if trainer.log.file else None
        if trainer.world == 1 and (folder is None or any(folder.glob(f"{trainer.step:07d}.*"))):
            return
        with trainer.averaged(), evaluation_mode(trainer.method, self.seed):
            made = self.make(trainer.method)
        if folder is not None:
            self.write_real(folder, made)
            write_samples(folder / f"{trainer.step:07d}", made)

    def write_real(self, folder: Path, made: Tensor | str) -> None:
        """The real data beside the samples, unless they are there."""
        if self.beside is None or any(folder.glob("real.*")):
            return
        real = self.beside() if callable(self.beside) else self.beside
        write_samples(
            folder / "real", real if isinstance(real, str) or isinstance(made, str) else real[: len(made)]
        )


def write_samples(stem: Path, made: Tensor | str) -> Path:
    """Images as one grid in `stem`.png, which records how it is laid out; text in `stem`.txt."""
    if isinstance(made, str):
        path = stem.with_suffix(".txt")
        write_bytes(path, (made + "\n").encode())
        return path
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    path = stem.with_suffix(".png")
    columns, zoom = layout(made)
    layout_of_file = {
        "columns": columns,
        "tile": zoom * made.shape[3],
        "tile_height": zoom * made.shape[2],
        "gap": GAP,
    }
    information = PngInfo()
    for name, value in layout_of_file.items():
        information.add_text(name, str(value))
    Image.fromarray(grid(made).numpy()).save(png := io.BytesIO(), format="png", pnginfo=information)
    write_bytes(path, png.getvalue())
    return path


def layout(images: Tensor) -> tuple[int, int]:
    """Columns of a grid of these images, and by what whole number their pixels are enlarged.

    Raises:
        ValueError: no images (n, 1 or 3, H, W), n at least 1.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ValueError(f"expected images (n, 1 or 3, H, W), got {tuple(images.shape)}")
    columns = math.ceil(math.sqrt(len(images)))
    return columns, max(1, WIDTH // (columns * images.shape[3]))


def grid(images: Tensor) -> Tensor:
    """Images (n, C, H, W) in [0, 1], C = 1 or 3, as one (H', W', 3) picture, uint8, enlarged to be read."""
    columns, zoom = layout(images)
    n, _, height, width = images.shape
    rows = math.ceil(n / columns)
    images = images.detach().cpu().float().clamp(0, 1).expand(n, 3, height, width)
    images = torch.cat([images, torch.ones(rows * columns - n, 3, height, width)])
    images = images.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
    images = nn.functional.pad(images, (GAP, GAP, GAP, GAP), value=1.0)
    picture = images.unflatten(0, (rows, columns)).permute(0, 3, 1, 4, 2).flatten(0, 1).flatten(1, 2)
    return (picture * 255).round().to(torch.uint8)
