"""Images with a label for every pixel: by a known name, from a folder of images and one of masks, or from arrays.

    train = masks("./cells", size=128)      # ./cells/images/7.png and ./cells/masks/7.png, one pair a stem
    x, y = train.at(0)                      # x float32 (B, C, H, W) in [0, 1], y int64 (B, H, W)

A mask's values are its labels, 255 is ignored; `instances=True` gives each object a number instead, 0 is background.
N images, C channels, H x W pixels, B images a batch.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from . import sets
from .batches import Batches
from .joint_batches import JointBatches
from .mask_files import array_content, describe_folder, folder_content
from .mask_sets import named

PairAugment = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]    # (x, y, generator) -> x, y


def labelled(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Images, and the label of every pixel."""
    return x, y.long()


def masks(source: Any, *, split: str | None = "train", batch: int = 16, seed: int = 0,
          augment: PairAugment | None = None, shuffle: bool | None = None, size: int | str | None = "auto",
          channels: int | None = None, instances: bool = False) -> JointBatches:
    """Images and their masks.

    Args:
        source: a known name; a folder with `images` and `masks` (or train, val, test above or below these), pairs by
            equal paths without suffix; a pair of arrays, images (N, H, W) or (N, H, W, C) and masks (N, H, W).
        split: `train`, `test`, or `val` where there is one beside test; None: every pair in order. What has no split
            of its own is split: one pair in five, by its name, is for testing.
        augment: (x, y, generator) -> x, y; see `deepcanon.data.augment_pairs`.
        shuffle: by default the train split is shuffled and others are in order.
        size: resize to size x size pixels, masks to the nearest; `auto` keeps known sets, and pictures that all have
            one size of at most 256 pixels a side, and resizes others to 128; None: as they are, all of one size.
        channels: 1 (grey) or 3 (RGB); None: 1 if every picture is grey.
        instances: masks number objects. Where they know one label beside 0, each connected part is an object.

    Raises:
        ValueError: unknown name; a pair that cannot be read or differs in size, values that are no labels (named).
        FileNotFoundError: the source, its images or its masks are not there.
    """
    check_arguments(split, size, channels)
    how: dict[str, Any] = {"batch": batch, "shuffle": split == "train" if shuffle is None else shuffle, "seed": seed}
    options = "".join(f":{word}" for word in (None if size == "auto" else size, channels, instances and "instances") if word)
    if is_pair(source):
        content = array_content(source, split, size, channels, instances)
        rows = Batches(f"masks:arrays:{split or 'all'}{options}", lambda: content, augment=None, **how)
        return JointBatches(rows, labelled, augment)
    own = not isinstance(source, str) or sets.is_path(source) or source not in sets.names("masks")
    if own and isinstance(source, str) and not os.path.exists(source) and not sets.is_path(source):
        sets.lookup(source, "masks")
    if own and not isinstance(source, str | os.PathLike):
        raise ValueError("expected a known name, a folder, or a pair of arrays (images, masks), "
                         f"got a {type(source).__name__}")
    read = folder_content if own else named
    load = partial(read, str(source), split, size, channels, instances)
    rows = Batches(f"masks:{source}:{split or 'all'}{options}", load, augment=None, **how)
    return JointBatches(rows, labelled, augment)


def check_arguments(split: str | None, size: int | str | None, channels: int | None) -> None:
    """Refuse arguments that cannot be meant."""
    if split not in ("train", "test", "val", None):
        raise ValueError(f"split must be 'train', 'test', 'val' or None, got '{split}'")
    if (isinstance(size, str) and size != "auto") or (isinstance(size, int) and size < 1):
        raise ValueError(f"size must be a number of pixels of 1 or more, 'auto' or None, got {size!r}")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels}")


def is_pair(source: Any) -> bool:
    """Whether this is a pair of arrays, of images and of masks."""
    return isinstance(source, tuple | list) and len(source) == 2 and all(hasattr(part, "ndim") for part in source)


def describe_masks(source: str, **options: Any) -> dict[str, Any]:
    """What `masks` would read, as plain values: pairs, sizes, labels and their share of the pixels, what is left out."""
    if source in sets.names("masks") and not sets.is_path(source):
        data = masks(source, split="train", shuffle=False, **options)
        return {"name": source, **{k: v for k, v in data.metadata.items() if k != "sha256"}}
    return describe_folder(source, **options)
