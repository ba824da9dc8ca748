"""Images with sentences: by a known name, from a folder with a table of captions, or from arrays and texts.

    train = captions("./trip")              # ./trip/captions.csv with the columns file and caption, and the pictures
    x, words = train.at(0)                  # x float32 (B, C, H, W) in [0, 1], words int64 (B, T)

Every row is an image and one of its captions, in small letters and without marks; words are numbers in a vocabulary
from the training captions: 0 fills up, 1 starts, 2 ends, 3 is any other word. M captions of N images.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import folder, sets
from .batches import Augment, Batches, Content, sha256
from .caption_files import Described, folder_captions
from .caption_sets import named
from .image_notices import say
from .mask_files import finished
from .notices import counted

SPECIAL = ["<fill>", "<start>", "<end>", "<unk>"]
UNKNOWN = 3


class Split(NamedTuple):
    """Images uint8 (N, C, H, W), the texts of each, and the vocabulary of the training captions."""

    x: Tensor
    texts: list[list[str]]
    names: list[str]
    vocabulary: list[str]


class Repeated:
    """Images by the number of a caption, that answer like a tensor (M, C, H, W)."""

    def __init__(self, x: Tensor, owner: Tensor):
        self.x, self.owner, self.shape = x, owner, (len(owner), *x.shape[1:])

    def index_select(self, dim: int, rows: Tensor) -> Tensor:
        return self.x.index_select(0, self.owner.to(rows.device)[rows])

    def prepare(self, rows: Tensor) -> None:
        """Nothing: the images are in memory."""

    def to(self, device: torch.device) -> "Repeated":
        return Repeated(self.x.to(device), self.owner.to(device))


def captions(source: Any, *, split: str | None = "train", batch: int = 32, seed: int = 0, augment: Augment | None = None,
             shuffle: bool | None = None, size: int | str | None = "auto", channels: int | None = None,
             min_count: int = 1) -> Batches:
    """Images and captions, a row for each caption.

    Args:
        source: a known name; a folder with pictures and `captions.csv`, `.tsv`, `.txt` or `.json`; such a file, also COCO's
            JSON; a pair of arrays (N, H, W) or (N, H, W, C) and N texts, or N lists of texts.
        split: `train` or `test`; None: all. What has no column `split` is split: one image in five, by its name, is for
            testing, with all of its captions.
        augment: (x, generator) -> x; nothing that a caption speaks of may change, such as left and right.
        shuffle: by default the train split is shuffled and others are in order.
        size: resize to size x size pixels; `auto` keeps known sets, and pictures of one size of at most 128 pixels a
            side, and resizes others to 64; None: as they are, all of one size.
        channels: 1 (grey) or 3 (RGB); None: 1 if every picture is grey.
        min_count: how often a word stands in the training captions at least; rarer ones are <unk>.

    Raises:
        ValueError: an unknown name, a table that cannot be read, captions of images that are not there (named).
        FileNotFoundError: the source is not there.
    """
    if split not in ("train", "test", None):
        raise ValueError(f"split must be 'train', 'test' or None, got '{split}'")
    if min_count < 1:
        raise ValueError(f"min_count must be at least 1, got {min_count}")
    options = "".join(f":{word}" for word in (None if size == "auto" else size, channels, min_count if min_count > 1 else None) if word)
    name = str(source) if isinstance(source, str | os.PathLike) else "arrays"
    how = {"batch": batch, "shuffle": split == "train" if shuffle is None else shuffle, "seed": seed, "augment": augment}
    return Batches(f"captions:{name}:{split or 'all'}{options}", lambda: content(source, split, size, channels, min_count), **how)


def content(source: Any, split: str | None, size: int | str | None, channels: int | None, min_count: int) -> Content:
    """The captions of a split as rows of numbers."""
    part = opened(source, split, size, channels, min_count)
    numbers = {word: k for k, word in enumerate(part.vocabulary)}
    rows = [[numbers.get(word, UNKNOWN) for word in words_of(text)] + [2] for texts in part.texts for text in texts]
    owner = torch.tensor([i for i, texts in enumerate(part.texts) for _ in texts])
    y = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    for place, row in zip(y, rows, strict=True):
        place[: len(row)] = torch.tensor(row)
    unknown = int((y == UNKNOWN).sum())
    if unknown:
        say(f"{source if isinstance(source, str) else 'captions'}: {counted(unknown, 'word')} of the {split or 'whole'} "
            f"captions, of {sum(map(len, rows)) - len(rows):,}, not in the vocabulary of {len(part.vocabulary):,}: <unk>")
    metadata = {"vocabulary": part.vocabulary, "classes": [], "images": len(part.x), "unknown": unknown, "sha256": sha256(part.x, y)}
    return Content(Repeated(part.x, owner), y, 255, metadata)


def opened(source: Any, split: str | None, size: int | str | None = "auto", channels: int | None = None,
           min_count: int = 1) -> Split:
    """The images of a split, each once, with all of their captions."""
    found = read(source, size, channels)
    splits = found.splits or ["test" if test else "train" for test in folder.held_out(found.names, [0] * len(found.names))]
    for needed in ("train", "test"):
        if needed not in splits:
            raise ValueError(f"no image falls into the {needed} split ({counted(len(splits), 'image')} in all)")
    counts = Counter(word for texts, part in zip(found.texts, splits, strict=True) if part == "train"
                     for text in texts for word in words_of(text))
    words = sorted(word for word, n in counts.items() if n >= min_count)
    if not words:
        raise ValueError(f"no word stands {min_count} times in the training captions; give a smaller min_count")
    rows = [row for row, part in enumerate(splits) if split in (None, part)]
    return Split(found.x[rows], [found.texts[row] for row in rows], [found.names[row] for row in rows], SPECIAL + words)


def words_of(text: str) -> list[str]:
    """The words of a caption: letters and digits, in small letters."""
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())


def read(source: Any, size: int | str | None, channels: int | None) -> Described:
    """All images of a source with their captions, at one size."""
    if isinstance(source, str | os.PathLike):
        known = isinstance(source, str) and not sets.is_path(source) and source in sets.names("captions")
        if not known and not Path(source).exists():
            if isinstance(source, str) and not sets.is_path(source):
                sets.lookup(source, "captions")
            raise FileNotFoundError(f"there is no folder {source}")
        return cached(str(source), stamp_of(source) if not known else os.environ.get("DEEPCANON_DATA", ""), known, size, channels)
    return of_arrays(source, size, channels)


def stamp_of(source: str | os.PathLike) -> Any:
    """What changes when the files of a folder, or beside a table, do."""
    root = Path(source)
    root = root if root.is_dir() else root.parent
    return tuple((str(path), path.stat().st_mtime_ns) for path in sorted(root.rglob("*")) if path.is_file())


@lru_cache(maxsize=4)
def cached(source: str, stamp: Any, known: bool, size: int | str | None, channels: int | None) -> Described:
    """One copy in memory, however many ask."""
    if not known:
        return folder_captions(Path(source), size, channels)
    found = named(source)
    side = None if isinstance(size, str) else size
    images = finished(found.x, torch.zeros(len(found.x), 1, 1, dtype=torch.uint8), side, channels, {})
    return found._replace(x=images.x)


def of_arrays(source: Any, size: int | str | None, channels: int | None) -> Described:
    """A pair of pictures and texts."""
    if not (isinstance(source, tuple | list) and len(source) == 2 and hasattr(source[0], "ndim") and isinstance(source[1], Sequence)):
        raise ValueError("expected a known name, a folder, a file of captions, or a pair (images, texts), "
                         f"got a {type(source).__name__}")
    x, texts = torch.as_tensor(np.asarray(source[0])), [[t] if isinstance(t, str) else list(t) for t in source[1]]
    x = x[..., None] if x.ndim == 3 else x
    if x.ndim != 4 or x.shape[3] not in (1, 3) or x.dtype != torch.uint8 or len(x) != len(texts):
        raise ValueError("expected uint8 images (N, H, W) or (N, H, W, 1 or 3) and N texts, "
                         f"got {x.dtype} {tuple(x.shape)} and {len(texts)} texts")
    for row, some in enumerate(texts):
        if not some or not all(isinstance(t, str) and words_of(t) for t in some):
            raise ValueError(f"expected one caption or more for each image, got {some} for image {row}")
    images = finished(x.permute(0, 3, 1, 2), torch.zeros(len(x), 1, 1, dtype=torch.uint8),
                      None if isinstance(size, str) else size, channels, {})
    return Described(images.x, texts, [str(row) for row in range(len(x))], None)


def describe_captions(source: str, **options: Any) -> dict[str, Any]:
    """What `captions` would read, as plain values."""
    from .image_notices import collected

    with collected() as lines:
        try:
            parts = {split: captions(source, split=split, shuffle=False, **options) for split in ("train", "test")}
            about = {split: f"{part.metadata['images']} images, {part.count} captions" for split, part in parts.items()}
        except ValueError as error:
            return {"name": str(source), "problems": [str(error)]}
    first = opened(source, "train", **options)
    return {"name": str(source), "splits": about, "shape": list(first.x.shape[1:]), "vocabulary": len(first.vocabulary),
            "longest": parts["train"].content.y.shape[1] - 1, "example": f"{first.names[0]}: {first.texts[0][0]}", "notes": lines}
