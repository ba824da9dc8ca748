"""Images by a known name, from files of your own, or from an object.

    train, test = images("mnist", augment=crop(2)), images("mnist", split="test")
    x, y = train.at(0)          # x float32 (B, C, H, W) in [0, 1], y int64 (B,)

N images, C channels, H x W pixels, B images a batch.
"""

import hashlib
import io
import math
import os
import struct
import tarfile
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import downloads, image_content, sets
from .batches import Augment, Batches, Content
from .image_content import FITS, Options
from .image_objects import is_array, is_frame, is_picture
from .omniglot_drawings import omniglot
from .table_named import folder as sklearn_folder

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
DIGITS = [str(d) for d in range(10)]


def images(source: Any, *, split: str | None = "train", batch: int = 128, seed: int = 0, augment: Augment | None = None,
           shuffle: bool | None = None, size: int | str | None = "auto", fit: str = "crop", channels: int | None = None,
           skip_unreadable: bool = False) -> Batches:
    """Images of a named set (`deepcanon data list`), of files of your own, or of an object.

    Args:
        source: a known name; a folder, `./photos/cat/1.jpg` or `./photos/train/cat/1.jpg`; a CSV file with the columns path and label (and split);
            a frame with these columns; an image file or a list of files; an array or tensor of pictures, alone or as (x, y); a torch or
            Hugging Face data set; a dict of any of these by split. What has no split of its own is split: one picture in five is for testing.
        split: `train`, `test`, `val` where there is one beside test; None: every picture in order, for prediction, the file of each in
            `.metadata["paths"]`.
        augment: (x, generator) -> x on the float batch; see `deepcanon.data.augment`.
        shuffle: by default the train split is shuffled and others are in order.
        size: resize to size x size pixels; `auto` keeps the size of named sets, and of pictures that all have one size of at most 64 pixels a
            side, and resizes others to 32 x 32; None: as they are, all of one size.
        fit: what is resized: `crop` the middle square, `pad` all of it with black borders, `stretch` all of it out of proportion.
        channels: 1 (grey) or 3 (RGB); None: as a named set has them, else 1 if every picture is grey, 3 if not.
        skip_unreadable: leave out what cannot be read, which is said, instead of refusing it (of more than a gigabyte, by the headers).

    Raises:
        ValueError: unknown name; a file that is damaged, unreadable or of another shape (named); folders that can be read in two ways.
        FileNotFoundError: a file or folder is missing and cannot be fetched.
    """
    check_arguments(split, size, fit, channels)
    own = not isinstance(source, str) or sets.is_path(source) or (source not in sets.names("images") and Path(source).exists())
    if own:
        options = Options(size, fit, channels, skip_unreadable)
        key, load = own_key(source, split, options), partial(image_content.content, source, split, options)
    else:
        sets.lookup(source, "images")
        if split == "val":
            raise ValueError("split must be 'train' or 'test', got 'val'")
        side = None if isinstance(size, str) else size
        key = f"images:{source}:{split or 'all'}" + (f":{side}" if side else "") + (f":{channels} channels" if channels else "")
        load = partial(in_channels, source, split, side, os.environ.get("DEEPCANON_DATA"), channels)
    return Batches(key, load, batch=batch, shuffle=split == "train" if shuffle is None else shuffle, seed=seed, augment=augment)


def check_arguments(split: str | None, size: int | str | None, fit: str, channels: int | None) -> None:
    """Refuse arguments that cannot be meant."""
    if split not in ("train", "test", "val", None):
        raise ValueError(f"split must be 'train', 'test', 'val' or None, got '{split}'")
    if isinstance(size, str) and size != "auto":
        raise ValueError(f"size must be a number of pixels, 'auto' or None, got '{size}'")
    if isinstance(size, int) and size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    if fit not in FITS:
        raise ValueError(f"fit must be one of {', '.join(FITS)}, got '{fit}'")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels}")


def own_key(source: Any, split: str | None, options: Options) -> str:
    """What names a user's pictures, as they are brought to one form, in a record."""
    how = [] if options.size == "auto" else [str(options.size)]
    how += [options.fit] if options.fit != "crop" else []
    how += [f"{options.channels} channels"] if options.channels else []
    how += ["readable"] if options.skip_unreadable else []
    return ":".join(["images", source_key(source), split or "all", *how])


def source_key(source: Any) -> str:
    """A path as it is; an object by its kind and what it holds."""
    if isinstance(source, str | os.PathLike):
        return str(source)
    if isinstance(source, Mapping):
        return "+".join(f"{part}={source_key(value)}" for part, value in source.items())
    if is_frame(source):
        return source_key({str(name): list(source[name]) for name in source.columns})
    if isinstance(source, list | tuple):
        return f"list-{brief('+'.join(map(source_key, source)).encode())}"
    if is_array(source) or is_picture(source):
        x = source.detach().cpu().numpy() if isinstance(source, Tensor) else np.asarray(source)
        return f"array-{brief(x.tobytes(), repr((x.shape, x.dtype)).encode())}" if x.nbytes <= 2**30 else f"array-{x.shape}"
    if isinstance(source, int | float | np.generic):
        return repr(source)
    version = getattr(source, "_fingerprint", None) or (len(source) if hasattr(source, "__len__") else "")       # the first is Hugging Face's
    return f"{type(source).__name__}-{version}"


def brief(*parts: bytes) -> str:
    """16 digits that tell contents apart."""
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def in_channels(name: str, split: str | None, size: int | None, place: str | None, channels: int | None) -> Content:
    """The content of a named set with the channels that are asked for; split None: train, then test."""
    if split is None:
        first, second = (in_channels(name, part, size, place, channels) for part in ("train", "test"))
        classes = list(dict.fromkeys([*first.metadata["classes"], *second.metadata["classes"]]))
        moved = second.y + (0 if classes == first.metadata["classes"] else len(first.metadata["classes"]))
        paths = [f"{name} {row}" for row in range(len(first.y) + len(moved))]
        metadata = first.metadata | {"classes": classes, "paths": paths}
        return first._replace(x=torch.cat([first.x, second.x]), y=torch.cat([first.y, moved]), metadata=metadata)
    content = named(name, split, size, place)
    if channels in (None, content.x.shape[1]):
        return content
    if channels == 3:
        return content._replace(x=content.x.expand(-1, 3, -1, -1).contiguous())
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)                    # ITU-R 601, as Pillow's
    return content._replace(x=torch.cat([(part * luma).sum(1, keepdim=True).round_().to(torch.uint8) for part in content.x.split(4096)]))


@lru_cache(maxsize=8)
def named(name: str, split: str, size: int | None, place: str | None) -> Content:
    """The content of a named set; one copy in memory, however many ask (`place` is where it was read from)."""
    content = {"digits": digits, "mnist": mnist, "fashion": fashion, "cifar10": cifar10, "omniglot": omniglot}[name](split)
    content = resized(content, size) if size else content
    return content._replace(metadata=content.metadata | {"levels": int(content.peak or 1) + 1})


def resized(content: Content, size: int) -> Content:
    """The images at size x size pixels, bilinear and antialiased, in 256 levels."""
    scale = 255 / (content.peak or 1)
    parts = [F.interpolate(part.float() * scale, (size, size), mode="bilinear", antialias=True) for part in content.x.split(4096)]
    return content._replace(x=torch.cat([part.round_().clamp_(0, 255).to(torch.uint8) for part in parts]), peak=255)


def digits(split: str) -> Content:
    """Scikit-learn's digits; the last 360 are test."""
    table = torch.from_numpy(np.loadtxt(downloads.unpacked(sklearn_folder() / "digits.csv.gz").decode().splitlines(), np.uint8, delimiter=","))
    x, y = table[:, :-1], table[:, -1]                                               # (N, 64), 0 to 16
    rows = slice(None, -360) if split == "train" else slice(-360, None)
    return Content(x[rows].reshape(-1, 1, 8, 8), y[rows].long(), 16, {"classes": DIGITS})


def mnist(split: str) -> Content:
    """Handwritten digits."""
    return idx_pair("mnist", split, DIGITS)


def fashion(split: str) -> Content:
    """Pieces of clothing, in MNIST's form."""
    return idx_pair("fashion", split, FASHION)


def idx_pair(name: str, split: str, classes: list[str]) -> Content:
    """A split from its file of images and its file of labels."""
    pictures, labels = sets.SETS[name].files[:2] if split == "train" else sets.SETS[name].files[2:]
    x, y = idx(downloads.read(pictures), pictures.name), idx(downloads.read(labels), labels.name)
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
    packed = downloads.local("cifar10.npz")
    return cifar10_npz(packed, split) if packed else cifar10_binary(downloads.read(sets.SETS["cifar10"].files[0]), split)


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
