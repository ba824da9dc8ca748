"""Images by a known name or from a folder of your own.

    train, test = images("mnist", augment=crop(2)), images("mnist", split="test")
    x, y = train.at(0)          # x float32 (B, C, H, W) in [0, 1], y int64 (B,)

N images, C channels, H x W pixels, B images a batch.
"""

import io
import math
import os
import struct
import tarfile
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import download, folder, sets
from .batches import Augment, Batches, Content
from .omniglot import omniglot

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
DIGITS = [str(d) for d in range(10)]


def images(source: str, *, split: str | None = "train", batch: int = 128, seed: int = 0, augment: Augment | None = None,
           shuffle: bool | None = None, size: int | None | Literal["auto"] = "auto", fit: str = "crop",
           channels: int | None = None, skip_unreadable: bool = False) -> Batches:
    """Images of a named set (`deepcanon data list`) or of a folder: `./photos/cat/1.jpg`, or `./photos/train/cat/1.jpg` where the split is made.

    Args:
        source: a known name, or the path of a folder with a subfolder for each class (or with pictures only: one class).
        split: `train` or `test`.
        augment: (x, generator) -> x on the float batch; see `deepcanon.data.augment`.
        shuffle: by default the train split is shuffled and the test split is in order.
        size: resize to size x size pixels; from a folder, the middle square is taken first.

    Raises:
        ValueError: unknown name; a file that is damaged, unreadable or of another shape (named).
        FileNotFoundError: a file or folder is missing and cannot be fetched.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got '{split}'")
    size = None if size == "auto" else size
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    if sets.is_path(source):
        load = partial(folder.content, Path(source), split, size)
    else:
        sets.lookup(source, "images")
        load = partial(named, source, split, size, os.environ.get("DEEPCANON_DATA"))
    key = f"images:{source}:{split}" + (f":{size}" if size else "")
    return Batches(key, load, batch=batch, shuffle=split == "train" if shuffle is None else shuffle, seed=seed, augment=augment)


@lru_cache(maxsize=8)
def named(name: str, split: str, size: int | None, place: str | None) -> Content:
    """The content of a named set; one copy in memory, however many ask (`place` is where it was read from)."""
    content = {"digits": digits, "mnist": mnist, "fashion": fashion, "cifar10": cifar10, "omniglot": omniglot}[name](split)
    return resized(content, size) if size else content


def resized(content: Content, size: int) -> Content:
    """The images at size x size pixels, bilinear and antialiased, in 256 levels."""
    scale = 255 / (content.peak or 1)
    parts = [F.interpolate(part.float() * scale, (size, size), mode="bilinear", antialias=True) for part in content.x.split(4096)]
    return content._replace(x=torch.cat([part.round_().clamp_(0, 255).to(torch.uint8) for part in parts]), peak=255)


def digits(split: str) -> Content:
    """Scikit-learn's digits; the last 360 are test."""
    from sklearn.datasets import load_digits

    x, y = (torch.as_tensor(t) for t in load_digits(return_X_y=True))                # (N, 64), 0 to 16
    rows = slice(None, -360) if split == "train" else slice(-360, None)
    return Content(x[rows].to(torch.uint8).view(-1, 1, 8, 8), y[rows].long(), 16, {"classes": DIGITS})


def mnist(split: str) -> Content:
    """Handwritten digits."""
    return idx_pair("mnist", split, DIGITS)


def fashion(split: str) -> Content:
    """Pieces of clothing, in MNIST's form."""
    return idx_pair("fashion", split, FASHION)


def idx_pair(name: str, split: str, classes: list[str]) -> Content:
    """A split from its file of images and its file of labels."""
    pictures, labels = sets.SETS[name].files[:2] if split == "train" else sets.SETS[name].files[2:]
    x, y = idx(download.read(pictures), pictures.name), idx(download.read(labels), labels.name)
    return Content(x[:, None], y.long(), 255, {"classes": classes})


def idx(content: bytes, name: str) -> Tensor:
    """The uint8 array of an idx file: 0, 0, type 8, number of sizes, sizes (big-endian int32), then the values."""
    if len(content) < 4 or content[:3] != b"\0\0\x08" or len(content) < 4 + 4 * content[3]:
        raise ValueError(f"{name}: expected an idx file of bytes (it begins 00 00 08), found one that begins {content[:4].hex(' ')}")
    start = 4 + 4 * content[3]
    shape = struct.unpack(f">{content[3]}i", content[4:start])
    if len(content) - start != math.prod(shape):
        raise ValueError(f"{name}: expected {math.prod(shape):,} values for shape {shape}, found {len(content) - start:,}")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start).view(shape)


def cifar10(split: str) -> Content:
    """From `cifar10.npz` in `DEEPCANON_DATA` (arrays x (N, 32, 32, 3), label, n_train) if it is there, else the binary form of the authors."""
    packed = download.local("cifar10.npz")
    return cifar10_npz(packed, split) if packed else cifar10_binary(download.read(sets.SETS["cifar10"].files[0]), split)


def cifar10_npz(path: Path, split: str) -> Content:
    """The first `n_train` rows are train."""
    with np.load(path) as z:
        x, y, train = z["x"], z["label"], int(z["n_train"])
    if x.dtype != np.uint8 or x.shape != (60_000, 32, 32, 3):
        raise ValueError(f"{path}: expected x as uint8 (60000, 32, 32, 3), found {x.dtype} {x.shape}")
    rows = slice(None, train) if split == "train" else slice(train, None)
    return Content(torch.from_numpy(x[rows]).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(y[rows]).long(), 255, {"classes": CIFAR10})


def cifar10_binary(content: bytes, split: str) -> Content:
    """Rows of one label byte and 3 x 32 x 32 pixel bytes, in five train files and one test file."""
    parts = [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = [archive.extractfile(f"cifar-10-batches-bin/{part}") for part in parts]
        rows = b"".join(member.read() for member in members if member)
    table = torch.frombuffer(bytearray(rows), dtype=torch.uint8).view(-1, 1 + 3 * 32 * 32)
    return Content(table[:, 1:].reshape(-1, 3, 32, 32), table[:, 0].long(), 255, {"classes": CIFAR10})
