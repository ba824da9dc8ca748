"""Known sets of images with masks: CamVid, cell nuclei, and scenes of shapes that are drawn when they are needed.

N images, H x W pixels.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from . import downloads
from .batches import Content
from .folder import held_out

VOID = 255
SHAPES = ["background", "circle", "square", "line"]
SIDE, TRAIN, TEST = 64, 400, 100


class Labelled(NamedTuple):
    """Images uint8 (N, H, W, C), their labels (N, H, W), the objects' numbers (N, H, W), and the classes."""

    x: np.ndarray
    y: np.ndarray
    objects: np.ndarray | None
    classes: list[str]


def named(name: str, split: str | None, size: int | str | None, channels: int | None, instances: bool) -> Content:
    """A split of a known set in the form asked for."""
    from .mask_files import finished

    found = {"camvid": camvid, "nuclei": nuclei, "shapes": shapes}[name](split)
    if instances and found.objects is None:
        raise ValueError(f"{name} has labels and no objects; sets with objects: nuclei, shapes")
    y = found.objects if instances and found.objects is not None else found.y
    x = torch.from_numpy(found.x).permute(0, 3, 1, 2)
    side = None if isinstance(size, str) else size
    return finished(x, torch.from_numpy(y), side, channels, {"classes": ["object"] if instances else found.classes})


def packed(name: str, holds: str) -> Path:
    """The file of a set that has no address; FileNotFoundError says where to put it."""
    path = downloads.local(f"{name}.npz")
    if path is None:
        raise FileNotFoundError(f"{name} cannot be fetched: put {name}.npz, with the arrays {holds}, into the folder "
                                "that the environment variable DEEPCANON_DATA names")
    return path


@lru_cache(maxsize=2)
def arrays_of(path: Path, changed: int) -> dict[str, Any]:
    """The arrays of a file; one copy in memory."""
    with np.load(path) as z:
        return {name: z[name] for name in z.files}


def camvid(split: str | None) -> Labelled:
    """Street scenes from a car, 256 x 192, eleven classes; void is ignored."""
    path = packed("camvid", "x, mask, split, classes")
    z = arrays_of(path, path.stat().st_mtime_ns)
    mine = np.ones(len(z["x"]), bool) if split is None else z["split"] == split
    classes = [str(c) for c in z["classes"] if c != "void"]
    y = z["mask"][mine].copy()
    y[y >= len(classes)] = VOID
    return Labelled(z["x"][mine], y, None, classes)


def nuclei(split: str | None) -> Labelled:
    """Cell nuclei under the microscope, 256 x 256, up to 99 an image; one image in five, by its name, is for testing."""
    path = packed("nuclei", "x, instances, name")
    z = arrays_of(path, path.stat().st_mtime_ns)
    test = np.array(held_out(z["name"].tolist(), [0] * len(z["name"])))
    if split == "val":
        raise ValueError("nuclei has the splits train and test, got 'val'")
    mine = np.ones(len(test), bool) if split is None else test == (split == "test")
    objects = z["instances"][mine].astype(np.int16)
    return Labelled(z["x"][mine], (objects > 0).astype(np.uint8), objects, ["background", "nucleus"])


def shapes(split: str | None) -> Labelled:
    """500 scenes of circles, squares and thin lines, 64 x 64; the last 100 are for testing."""
    if split == "val":
        raise ValueError("shapes has the splits train and test, got 'val'")
    scenes = all_shapes()
    rows = {"train": slice(None, TRAIN), "test": slice(TRAIN, None), None: slice(None)}[split]
    return Labelled(scenes.x[rows], scenes.y[rows], (scenes.objects if scenes.objects is not None else scenes.y)[rows], SHAPES)


@lru_cache(maxsize=1)
def all_shapes() -> Labelled:
    """The scenes, the same each time."""
    rng = np.random.default_rng(0)
    scenes = [scene(rng) for _ in range(TRAIN + TEST)]
    x, y, objects = (np.stack(part) for part in zip(*scenes, strict=True))
    return Labelled(x, y, objects, SHAPES)


def scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image (H, W, 3), its labels and objects (H, W): discs, squares, then lines of one pixel over them, with noise."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    ground = rng.uniform(0, 1, 3)
    image = np.broadcast_to(ground, (SIDE, SIDE, 3)).copy()
    y, objects = np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.int16)
    labels = [1] * rng.integers(1, 3) + [2] * rng.integers(1, 3) + [3] * rng.integers(1, 4)
    for number, label in enumerate(labels, 1):
        where = np.ones_like(y, bool)
        while where.all() or (label < 3 and (y[where] > 0).any()):               # discs and squares lie apart
            row, column = rng.uniform(6, SIDE - 6, 2)
            if label == 1:
                where = np.hypot(rows - row, columns - column) < rng.uniform(5, 10)
            elif label == 2:
                where = np.maximum(abs(rows - row), abs(columns - column)) < rng.uniform(5, 9)
            else:
                where = line(rng, row, column)
        image[where], y[where], objects[where] = contrasting(rng, ground), label, number
    noisy = image + rng.normal(0, 0.03, image.shape)
    return (255 * noisy.clip(0, 1)).round().astype(np.uint8), y, objects


def line(rng: np.random.Generator, row: float, column: float) -> np.ndarray:
    """A straight line of one pixel through a place, 25 to 60 pixels long."""
    where, angle, half = np.zeros((SIDE, SIDE), bool), rng.uniform(0, np.pi), rng.uniform(12.5, 30)
    t = np.linspace(-half, half, 4 * SIDE)
    r, c = (np.rint(middle + t * step).astype(int) for middle, step in ((row, np.sin(angle)), (column, np.cos(angle))))
    inside = (r >= 0) & (r < SIDE) & (c >= 0) & (c < SIDE)
    where[r[inside], c[inside]] = True
    return where


def contrasting(rng: np.random.Generator, ground: np.ndarray) -> np.ndarray:
    """A colour that differs from the ground by a half or more in one channel."""
    while True:
        colour = rng.uniform(0, 1, 3)
        if abs(colour - ground).max() > 1 / 2:
            return colour


