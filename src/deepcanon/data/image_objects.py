"""Pictures in memory or behind an object: arrays, lists of pictures, torch and Hugging Face data sets.

    x (N, H, W), (N, H, W, C) or (N, C, H, W), C being 1, 3 or 4 (RGB and transparency)
    uint8, bool, uint16 by its full range, or float in 0..1
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from .image_decode import float_levels, whole_levels
from .notices import counted

IMAGE_COLUMNS = ("image", "img", "picture", "photo", "pixel_values", "jpg", "png")
LABEL_COLUMNS = ("label", "labels", "class", "target", "category", "fine_label")
CHANNELS = (1, 3, 4)


def is_frame(source: Any) -> bool:
    """Whether something is a table with named columns, such as a pandas or polars frame."""
    named = all(hasattr(source, name) for name in ("columns", "shape", "__getitem__"))
    return named and not hasattr(source, "features")


def parts(source: Any) -> dict[str, Any]:
    """Name, rows, names, labels, classes of an object; ValueError says what was expected."""
    name = type(source).__name__
    if is_array(source):
        return described("the array", ArrayRows(source), None)
    if is_pair(source):
        return described("the array", ArrayRows(source[0]), source[1])
    if is_picture(source):
        return described("the picture", [source], None)
    if isinstance(source, list | tuple):
        strange = [type(item).__name__ for item in source if not (is_picture(item) or is_array(item))]
        if strange or not source:
            raise ValueError(
                f"expected a list of files or of pictures, got "
                f"{'an empty list' if not source else 'one with ' + strange[0]}"
            )
        return described(counted(len(source), "picture"), Rows(source, lambda item: item), None)
    if hasattr(source, "features") and hasattr(source, "column_names"):
        return hugging_face(source)
    if hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        return map_style(name, source)
    raise ValueError(
        f"expected pictures as a path, an array, a frame or a data set with a length, got {name}"
    )


def described(
    name: str, rows: Sequence[Any], y: Any, classes: Sequence[str] | None = None, parallel: bool = True
) -> dict[str, Any]:
    """The fields of an index."""
    labels, names = ([0] * len(rows), []) if y is None else encoded(y, len(rows), classes)
    notes = list(rows.notes) if isinstance(rows, ArrayRows) else []
    stamp = (name, id(rows.source)) if isinstance(rows, Rows) and not parallel else None
    return {
        "name": name,
        "rows": rows,
        "names": [f"row {row}" for row in range(len(rows))],
        "labels": labels,
        "classes": names,
        "notes": notes,
        "parallel": parallel,
        "stamp": stamp,
    }


def is_array(x: Any) -> bool:
    """Whether something is a NumPy array or a tensor of pictures."""
    return isinstance(x, np.ndarray | torch.Tensor)


def is_pair(source: Any) -> bool:
    """Whether something is (x, y), and not two pictures."""
    if not (isinstance(source, tuple | list) and len(source) == 2 and is_array(source[0])):
        return False
    return source[0].ndim == 4 or not (is_picture(source[1]) or getattr(source[1], "ndim", 0) > 1)


def is_picture(x: Any) -> bool:
    """Whether something is a Pillow image."""
    return hasattr(x, "getexif") and hasattr(x, "mode")


class Rows(Sequence):
    """Pictures taken one by one from an object, each in a form that can be decoded."""

    def __init__(self, source: Any, take: Any):
        self.source, self.take = source, take

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, row):
        return prepared(self.take(self.source[row]))


class ArrayRows(Sequence):
    """An array of pictures as uint8 (N, H, W, C), C 1, 3 or 4."""

    def __init__(self, x: np.ndarray | torch.Tensor):
        x = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else x
        if x.ndim not in (3, 4) or 0 in x.shape:
            raise ValueError(
                f"expected pictures (N, H, W), (N, H, W, C) or (N, C, H, W), got an array of shape {x.shape}"
            )
        if x.ndim == 3 and x.shape[2] in (3, 4):
            raise ValueError(
                f"shape {x.shape} looks like one picture (H, W, C), expected (N, H, W, C): pass x[None]"
            )
        self.array, self.notes = levels(channels_last(x)), []
        if x.dtype == np.uint16 and x.max() < 4096:
            self.notes.append(f"16-bit values, none above {x.max()}: read by their full range, they are dark")

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, row):
        x = self.array[row]
        return x[..., 0] if x.shape[-1] == 1 else x


def channels_last(x: np.ndarray) -> np.ndarray:
    """(N, H, W, C) of pictures whose channels are the second or the last dimension, or not there."""
    if x.ndim == 3:
        return x[..., None]
    first, last = x.shape[1] in CHANNELS, x.shape[3] in CHANNELS
    if first == last:
        which = "both the second and the last" if first else "neither the second nor the last"
        raise ValueError(
            f"pictures of shape {x.shape}: {which} dimension can be the channels (1, 3 or 4), "
            "expected (N, H, W, C) or (N, C, H, W)"
        )
    return x.transpose(0, 2, 3, 1) if first else x


def levels(x: np.ndarray) -> np.ndarray:
    """The values in 256 levels; ValueError names a type or a range that does not say what is white."""
    if x.dtype == np.uint8:
        return x
    if x.dtype == bool:
        return x.astype(np.uint8) * 255
    if x.dtype == np.uint16:
        return whole_levels(x, 65535)
    if np.issubdtype(x.dtype, np.floating):
        return float_levels(x)
    raise ValueError(
        f"{x.dtype} from {x.min()} to {x.max()} does not say what is white: "
        "expected uint8, uint16 or floats in 0 to 1"
    )


def prepared(cell: Any) -> Any:
    """One picture of a data set as a path, bytes, a Pillow image or a uint8 array (H, W) or (H, W, C)."""
    if isinstance(cell, dict) and {"bytes", "path"} & cell.keys():
        return cell.get("bytes") or cell["path"]
    if isinstance(cell, str | os.PathLike | bytes) or is_picture(cell):
        return cell
    x = cell.detach().cpu().numpy() if isinstance(cell, torch.Tensor) else np.asarray(cell)
    if x.ndim not in (2, 3):
        raise ValueError(
            f"expected a picture (H, W), (H, W, C) or (C, H, W), got {type(cell).__name__} of shape {x.shape}"
        )
    x = levels(channels_last(x[None]))[0]
    return np.ascontiguousarray(x[..., 0] if x.shape[-1] == 1 else x)


def hugging_face(source: Any) -> dict[str, Any]:
    """A Hugging Face data set: its column of images and, when there is one, its column of classes."""
    columns, features = list(source.column_names), source.features
    image = first(columns, IMAGE_COLUMNS, features, "Image")
    if image is None:
        raise ValueError(f"the data set has no column of images; it has {', '.join(columns)}")
    label = first([c for c in columns if c != image], LABEL_COLUMNS, features, "ClassLabel")
    names = getattr(features[label], "names", None) if label else None
    y = list(source[label]) if label else None
    fields = described("the data set", Rows(source, lambda row: row[image]), y, names, parallel=False)
    fields["notes"].append(
        f"images from column {image}, "
        + (f"classes from column {label}" if label else "no column of classes")
    )
    return fields


def first(columns: Sequence[str], known: Sequence[str], features: Any, kind: str) -> str | None:
    """The first column of a kind of feature, else of a known name."""
    typed = [name for name in columns if type(features[name]).__name__ == kind]
    return next(iter([*typed, *(name for name in known if name in columns)]), None)


def map_style(name: str, source: Any) -> dict[str, Any]:
    """A torch data set of (picture, label), or of pictures."""
    if not len(source):
        raise ValueError(f"{name} is empty")
    example = source[0]
    if not isinstance(example, tuple | list):
        return described(name, Rows(source, lambda item: item), None, parallel=False)
    if len(example) != 2:
        raise ValueError(f"expected (picture, label) from {name}, got {len(example)} parts")
    y = [source[row][1] for row in range(len(source))]
    classes = getattr(source, "classes", None) or getattr(getattr(source, "dataset", None), "classes", None)
    return described(name, Rows(source, lambda item: item[0]), y, classes, parallel=False)


def encoded(y: Any, count: int, classes: Sequence[str] | None) -> tuple[list[int], list[str]]:
    """Labels as numbers of classes, and the names: those given, else the different labels in order."""
    values = [scalar(value) for value in (y.tolist() if hasattr(y, "tolist") else y)]
    if len(values) != count:
        raise ValueError(f"expected as many labels as pictures, got {len(values)} and {count}")
    for row, value in enumerate(values):
        if not isinstance(value, int | str) and not (isinstance(value, float) and value.is_integer()):
            raise ValueError(
                f"label {value!r} of row {row} is no class: expected one whole number or word a picture"
            )
    plain = [value if isinstance(value, str) else int(value) for value in values]
    names = (
        [str(name) for name in classes] if classes is not None else ordered({str(value) for value in plain})
    )
    number = {kind: k for k, kind in enumerate(names)}
    labels = [
        number.get(str(value), -1) if classes is None or isinstance(value, str) else value for value in plain
    ]
    for row, label in enumerate(labels):
        if not 0 <= label < len(names):
            raise ValueError(
                f"label {plain[row]} of row {row} is out of range: expected 0 to {len(names) - 1}"
            )
    return labels, names


def scalar(value: Any) -> Any:
    """The Python value of a NumPy scalar or a tensor of one number."""
    one = isinstance(value, np.generic) or (isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 0)
    return value.item() if one else value


def ordered(names: Iterable[str]) -> list[str]:
    """Names of classes in order: by number when all are whole numbers."""
    names = list(names)
    return sorted(names, key=int) if all(name.lstrip("-").isdecimal() for name in names) else sorted(names)


def held_out(labels: Sequence[int]) -> list[bool]:
    """Which rows are for testing: one in five of each class, drawn once; at least one of a class of two."""
    groups: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(labels):
        groups[label].append(row)
    test, generator = [False] * len(labels), torch.Generator().manual_seed(0)
    for label in sorted(groups):
        rows = groups[label]
        number = max(1, round(len(rows) / 5)) if len(rows) > 1 else 0
        for place in torch.randperm(len(rows), generator=generator)[:number].tolist():
            test[rows[place]] = True
    return test
