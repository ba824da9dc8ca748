"""Pictures of a run folder as they stand in a page: embedded, with the size at which they can be read."""

from __future__ import annotations

import base64
import csv
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

READABLE = 45  # pixels of a page that an image of a grid is wide at least
WORDS = 1_600  # characters of a text that are shown


@dataclass(frozen=True)
class Picture:
    """A PNG file, embedded: its address, its size, and how many images stand side by side in it."""

    url: str
    width: int
    height: int
    columns: int = 1

    @property
    def least(self) -> int:
        """The width below which an image of the grid could not be read; a narrower panel scrolls."""
        return min(self.width, self.columns * READABLE)


def embed(png: bytes) -> str:
    """The bytes of a PNG file as an address."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def picture(path: Path) -> Picture | None:
    """A picture that a run wrote; None for a file that is no PNG."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=["PNG"]) as image:
            width, height = image.size
            columns = str(image.info.get("columns", "1"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    return Picture(embed(path.read_bytes()), width, height, int(columns) if columns.isdecimal() else 1)


def tiles(path: Path, count: int) -> Iterator[Picture]:
    """The first `count` images of a grid that `write_samples` wrote, one by one."""
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as image:
        columns, size, gap = (int(image.info[k]) for k in ("columns", "tile", "gap"))
        height = int(image.info["tile_height"])
        for i in range(count):
            left, top = gap + i % columns * (size + 2 * gap), gap + i // columns * (height + 2 * gap)
            image.crop((left, top, left + size, top + height)).save(buffer := io.BytesIO(), format="PNG")
            yield Picture(embed(buffer.getvalue()), size, height)


@dataclass(frozen=True)
class Sample:
    """Something made or real: a picture or a text, with a caption."""

    caption: str
    picture: Picture | None = None
    text: str = ""


def read_sample(path: Path, caption: str) -> Sample | None:
    """A file of `samples/`; None for one that cannot be shown."""
    if path.suffix == ".txt":
        text = path.read_text(encoding="utf-8", errors="replace")
        return Sample(caption, text=text[:WORDS] + (" …" if len(text) > WORDS else ""))
    shown = picture(path)
    return Sample(caption, shown) if shown else None


def samples(folder: Path, earlier: int = 3) -> tuple[list[Sample], list[Sample]]:
    """The real data and the last samples of a run; and up to `earlier` samples from before, in order."""
    files = sorted(
        p for p in (folder / "samples").glob("[0-9]*") if p.suffix in (".png", ".txt") and p.stem.isdecimal()
    )
    real = sorted((folder / "samples").glob("real.*"))
    shown = [(path, "real") for path in real[:1]] + [(path, "made") for path in files[-1:]]
    before = files[:-1]
    kept = (
        before
        if len(before) <= earlier
        else [before[i * (len(before) - 1) // max(1, earlier - 1)] for i in range(earlier)]
    )
    history = [(path, f"made after {int(path.stem):,} steps") for path in kept]
    return (
        [s for path, caption in shown if (s := read_sample(path, caption))],
        [s for path, caption in history if (s := read_sample(path, caption))],
    )


def evaluated(folder: Path) -> list[Sample]:
    """The pictures of test images that an evaluation wrote: detections, words and where they were looked for."""
    files = sorted(p for p in (folder / "evaluation").glob("*.png") if p.stem != "mistakes")
    found = (read_sample(path, path.stem.rstrip("_0123456789").replace("_", " ")) for path in files)
    return [sample for sample in found if sample]


def class_numbers(folder: Path, most: int = 200) -> list[list[str]]:
    """The table of the classes that an evaluation wrote, its heading first; empty if there is none."""
    path = folder / "evaluation" / "classes.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(itertools.islice(csv.reader(file), most))
