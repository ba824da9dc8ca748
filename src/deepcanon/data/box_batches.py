"""Pictures with boxes, by a known name or from files of your own.

    data = boxes("digit_scenes", batch=16)
    x, corners, labels = data.at(0)

x is float32 (B, C, H, W) in [0, 1], corners are (B, M, 4) in pixels, labels int64 (B, M), -1 for none. Crowds
and boxes that are to be ignored are not among those that are trained on; `objects_in` gives all, for evaluation.
N pictures, M boxes of one at most, B pictures a batch.
"""

import os
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deepcanon.metrics.detection import Objects

from . import box_content, downloads, sets
from .batches import Batches, Content
from .box_augment import BoxAugment
from .box_content import CROWD, packed
from .box_scenes import digit_scenes
from .image_content import Options
from .joint_batches import JointBatches
from .pictures import check_arguments

DIGITS = [str(digit) for digit in range(10)]


def boxed(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, corners and labels of rows y (B, M, 6): corners, label, flag."""
    corners, labels, flags = y[..., :4], y[..., 4].long(), y[..., 5]
    labels = torch.where(flags > 0, -1, labels)
    return x, torch.where((labels >= 0)[..., None], corners, 0.0), labels


def objects_in(data: JointBatches) -> list[Objects]:
    """What is in each picture, in order, crowds and ignored boxes included."""
    found = []
    for row in data.content.y:
        row = row[row[:, 4] >= 0].cpu()
        flags = row[:, 5]
        found.append(Objects(row[:, :4], row[:, 4].long(), flags == CROWD, flags > CROWD))
    return found


def boxes(
    source: str | os.PathLike,
    *,
    batch: int = 16,
    split: str | None = "train",
    seed: int = 0,
    augment: BoxAugment | None = None,
    shuffle: bool | None = None,
    size: int | str | None = "auto",
    fit: str = "pad",
    channels: int | None = None,
    skip_unreadable: bool = False,
) -> JointBatches:
    """Pictures with boxes.

    Args:
        source: a known name (`deepcanon data list`); a COCO .json file; a folder with such files, with Pascal
            VOC .xml files, or with YOLO .txt files.
        batch: pictures a batch.
        split: train or test; None: all pictures, in order.
        seed: of order and augmentation.
        augment: as the makers of `box_augment` return it.
        shuffle: by default pictures to train on are.
        size: side in pixels; `auto` keeps pictures of one size of at most 512 pixels a side, and makes
            squares of 256 of others;
            None: as they are, all of one size.
        fit: what is resized: `pad` all of it with black borders, `crop` the middle square, `stretch` out of
            proportion.
        channels: 1 or 3; None: 1 if every picture is grey.
        skip_unreadable: leave out pictures that are missing or cannot be read, which is said, instead of
            refusing them.

    Raises:
        ValueError: an unknown name; annotations or pictures that cannot be read or meant, the file named.
        FileNotFoundError: a file or folder is missing.
    """
    check_arguments("train" if split is None else split, size, fit, channels)
    if is_named(source):
        if isinstance(size, int) or channels:
            raise ValueError(
                f"{source} has a size and channels of its own: size= and channels= are for your own pictures"
            )
        load = partial(known, str(source), split, os.environ.get("DEEPCANON_DATA"))
    else:
        options = Options(size, fit, channels, skip_unreadable)
        load = partial(kept, str(source), split, options, stamp(Path(source)))
    how = (None if size == "auto" else size, None if fit == "pad" else fit, channels, skip_unreadable or None)
    key = ":".join(["boxes", str(source), split or "all", *(str(v) for v in how if v is not None)])
    shuffle = split == "train" if shuffle is None else shuffle
    rows = Batches(key, load, batch=batch, shuffle=shuffle, seed=seed, augment=None)
    return JointBatches(rows, boxed, augment)


def is_named(source: str | os.PathLike) -> bool:
    """Whether a known name is meant; ValueError for a name that is not known and no path."""
    if not isinstance(source, str) or sets.is_path(source):
        return False
    if source in sets.names("boxes"):
        return True
    if not Path(source).exists():
        sets.lookup(source, "boxes")
    return False


def stamp(path: Path) -> tuple:
    """What changes when the files of a source do: names, sizes and times."""
    from .folder import scan

    if not path.is_dir():
        return (path.stat().st_size, path.stat().st_mtime_ns) if path.exists() else ()
    found = scan(path)
    others = ((name, (path / name).stat()) for name in found.others)
    return tuple(found.pictures.items()), tuple((name, s.st_size, s.st_mtime_ns) for name, s in others)


@lru_cache(maxsize=4)
def kept(source: str, split: str | None, options: Options, stamp: tuple) -> Content:
    """One copy in memory, however often a run asks for it."""
    return box_content.content(source, split, options)


@lru_cache(maxsize=4)
def known(name: str, split: str | None, place: str | None) -> Content:
    """The content of a named set; split None: train, then test."""
    if split is None:
        first, second = (known(name, part, place) for part in ("train", "test"))
        y = packed([[row for row in rows.tolist() if row[4] >= 0] for rows in (*first.y, *second.y)])
        paths = [f"{name} {row}" for row in range(len(y))]
        sizes = [[first.x.shape[3], first.x.shape[2]]] * len(y)
        return Content(
            torch.cat([first.x, second.x]), y, 255, first.metadata | {"paths": paths, "sizes": sizes}
        )
    return {"digit_scenes": scenes, "bccd": bccd}[name](split)


def scenes(split: str) -> Content:
    """The digit scenes of a split."""
    found = digit_scenes(split)
    x = torch.from_numpy(np.stack([scene.picture for scene in found]))[:, None]
    y = packed(
        [[[*box, label, 0] for box, label in zip(scene.boxes, scene.labels, strict=True)] for scene in found]
    )
    return Content(x, y, 255, {"classes": DIGITS, "category_ids": list(range(10))})


def bccd(split: str) -> Content:
    """Blood cells, from `bccd.npz` (x, boxes, box_image, box_label, classes, split) in `DEEPCANON_DATA`; its
    validation part is trained on.
    """
    path = downloads.local("bccd.npz")
    if path is None:
        raise FileNotFoundError(
            "bccd needs bccd.npz in the folder that DEEPCANON_DATA names; or clone "
            "https://github.com/Shenggan/BCCD_Dataset and give the path of its folder BCCD"
        )
    with np.load(path) as z:
        x, corners, image, label, part = (
            z[name] for name in ("x", "boxes", "box_image", "box_label", "split")
        )
        classes = z["classes"].tolist()
    rows = np.flatnonzero((part == "test") == (split == "test"))
    found = [[[*corners[i].tolist(), int(label[i]), 0] for i in np.flatnonzero(image == row)] for row in rows]
    pictures = torch.from_numpy(x[rows]).permute(0, 3, 1, 2).contiguous()
    return Content(pictures, packed(found), 255, {"classes": classes, "category_ids": [1, 2, 3]})
