"""Known sets of captions: scenes of digits, drawn when they are needed, and the first thousand photographs of Flickr8k."""

from functools import lru_cache

import numpy as np
import torch

from .caption_files import Described
from .folder import held_out
from .mask_sets import arrays_of, packed
from .pictures import digits

NUMBERS = ["a zero", "a one", "a two", "a three", "a four", "a five", "a six", "a seven", "an eight", "a nine"]
CELL, CELLS, TRAIN, TEST = 8, 3, 1_000, 200     # a digit's side, cells a side of a scene, scenes


def named(name: str) -> Described:
    """A known set, all of it."""
    return {"digit_captions": digit_captions, "flickr8k": flickr8k}[name]()


@lru_cache(maxsize=1)
def digit_captions() -> Described:
    """Scenes of one to three digits, 24 x 24 grey, "a seven above a two"; digits of test scenes are in no other.

    Digits lie in cells of a 3 x 3 grid; two are above or left of each other, three stand in a column or a row.
    """
    rng = np.random.default_rng(0)
    pools = {split: digits(split) for split in ("train", "test")}
    splits = ["train"] * TRAIN + ["test"] * TEST
    scenes = [scene(rng, pools[split].x[:, 0].numpy(), pools[split].y.numpy()) for split in splits]
    x = torch.from_numpy(np.stack([image for image, _ in scenes]))[:, None]
    return Described(x, [[text] for _, text in scenes], [f"scene {i}" for i in range(len(scenes))], splits)


def scene(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, str]:
    """An image uint8 (24, 24) and what it shows."""
    count, down = int(rng.integers(1, 4)), bool(rng.integers(2))
    line, places = int(rng.integers(CELLS)), np.sort(rng.permutation(CELLS)[:count])
    rows = rng.integers(len(x), size=count)
    image = rng.integers(0, 40, (CELL * CELLS, CELL * CELLS), dtype=np.uint8)
    for row, cell in zip(rows, places, strict=True):
        top, left = (CELL * int(cell), CELL * line) if down else (CELL * line, CELL * int(cell))
        ink = (255 * x[row].astype(np.float32) / 16).astype(np.uint8)
        image[top : top + CELL, left : left + CELL] = np.maximum(image[top : top + CELL, left : left + CELL], ink)
    return image, (" above " if down else " left of ").join(NUMBERS[int(y[row])] for row in rows)


def flickr8k() -> Described:
    """1,000 photographs, 128 x 128, with five captions each; one in five, by its name, is for testing."""
    path = packed("flickr8k", "x, caption, caption_image, name")
    z = arrays_of(path, path.stat().st_mtime_ns)
    texts: list[list[str]] = [[] for _ in z["x"]]
    for image, caption in zip(z["caption_image"].tolist(), z["caption"].tolist(), strict=True):
        texts[image].append(caption)
    names = [str(name) for name in z["name"]]
    splits = ["test" if test else "train" for test in held_out(names, [0] * len(names))]
    return Described(torch.from_numpy(z["x"]).permute(0, 3, 1, 2).contiguous(), texts, names, splits)
