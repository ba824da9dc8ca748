"""Rows and labels from where their user has them: arrays, tensors, `.npy` and `.npz` files, frames, torch
data sets; checked, as tensors.

N rows.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from . import downloads

SUFFIXES = (".npy", ".npz")
MOST_BYTES = 8 * 2**30          # of a torch data set that is read into memory


class Rows(NamedTuple):
    """What a source holds: x (N, ...), y (N,) if it has one, and which rows are for testing if the source
    says so."""

    x: Any
    y: Any = None
    test: np.ndarray | None = None      # (N,) bool


def is_array_file(source: Any) -> bool:
    """Whether a source is the path of a `.npy` or `.npz` file."""
    return isinstance(source, str | os.PathLike) and str(source).lower().endswith(SUFFIXES)


def rows_of(x: Any, y: Any = None) -> Rows:
    """The rows of a source, not yet checked.

    Args:
        x: an array, a tensor or nested lists; a path of a `.npy` or `.npz` file; a frame of numbers; a torch
            data set; when y is None, a tuple (x, y).
    """
    if is_array_file(x):
        rows = file_rows(Path(x))
    elif isinstance(x, str | os.PathLike):
        raise ValueError(f"expected arrays or the path of a .npy or .npz file, got '{x}'")
    elif isinstance(x, TensorDataset):
        rows = tuple_rows(x.tensors)
    elif isinstance(x, DataLoader | IterableDataset):
        raise ValueError(f"a {type(x).__name__} gives batches and no rows: pass it to batches_of, or pass "
                         f"its data set")
    elif isinstance(x, Dataset):
        rows = dataset_rows(x)
    elif isinstance(x, tuple) and y is None:
        rows = tuple_rows(x)
    else:
        rows = Rows(x)
    if y is not None and rows.y is not None:
        raise ValueError("x brings labels of its own: leave y out")
    return rows if y is None else rows._replace(y=y)


def tuple_rows(parts: Sequence[Any]) -> Rows:
    """x, or x and y."""
    if len(parts) not in (1, 2):
        raise ValueError(f"expected x, or x and y, got {len(parts)} arrays")
    return Rows(*parts)


def file_rows(path: Path) -> Rows:
    """The array of a `.npy` file; of a `.npz` file its arrays x and y, or x_train, y_train, x_test and
    y_test, or its only one."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix.lower() == ".npz":
        downloads.check_zip(path)
    try:
        with open(path, "rb") as file:
            loaded = np.load(file)
            single = isinstance(loaded, np.ndarray)
            found = {"x": loaded} if single else {name: loaded[name] for name in loaded.files}
    except (ValueError, EOFError, OSError) as error:
        pickled = "allow_pickle" in str(error)
        words = "it holds Python objects, which are not loaded" if pickled else str(error)
        raise ValueError(f"{path} is not a readable {path.suffix} file: {words}") from None
    if {"x_train", "x_test"} <= found.keys():
        parts = [found["x_train"], found["x_test"]]
        test = np.repeat([False, True], [len(part) for part in parts])
        if ("y_train" in found) != ("y_test" in found):
            raise ValueError(f"{path}: expected both y_train and y_test, or neither, found one of them")
        return Rows(np.concatenate(parts), np.concatenate([found["y_train"], found["y_test"]])
                    if "y_train" in found else None, test)
    if "x" in found:
        y = found.get("y", found.get("label", found.get("labels")))
        return Rows(found["x"], y)
    if len(found) == 1:
        return Rows(next(iter(found.values())))
    raise ValueError(f"{path}: expected arrays named x and y, or one array, found "
                     f"{', '.join(found) or 'none'}")


def dataset_rows(source: Any) -> Rows:
    """All items of a torch data set with a length, read once: random changes that it makes are those of this
    one reading."""
    count = len(source) if hasattr(source, "__len__") else 0
    if not count:
        raise ValueError(f"expected a data set with a length of one row or more, got {type(source).__name__} "
                         f"of {count}")
    first = source[0]
    pair = isinstance(first, tuple | list)
    if pair and len(first) not in (1, 2):
        raise ValueError(f"expected items x or (x, y), got {len(first)} values in item 0 of "
                         f"{type(source).__name__}")
    example = first[0] if pair else first
    if not isinstance(example, Tensor | np.ndarray | int | float):
        raise ValueError(f"item 0 of {type(source).__name__} holds a {type(example).__name__}, expected a "
                         f"tensor: give the data set a "
                         "transform that makes one")
    size = torch.as_tensor(example)
    if size.numel() * size.element_size() * count > MOST_BYTES:
        raise ValueError(f"{type(source).__name__} holds "
                         f"{size.numel() * size.element_size() * count / 2**30:.0f} GB, more than fits in "
                         "memory: pass a DataLoader of it to batches_of")
    items = [source[i] for i in range(count)]
    xs = [torch.as_tensor(item[0] if pair else item) for item in items]
    odd = next((i for i, x in enumerate(xs) if x.shape != xs[0].shape), None)
    if odd is not None:
        raise ValueError(f"item {odd} of {type(source).__name__} has the shape {tuple(xs[odd].shape)}, item "
                         f"0 has {tuple(xs[0].shape)}")
    labels = [item[1] for item in items] if pair and len(first) == 2 else None
    if labels and isinstance(labels[0], Tensor):
        labels = torch.stack([torch.as_tensor(label) for label in labels])
    return Rows(torch.stack(xs), labels)


def number_rows(x: Any, name: str = "x") -> Tensor:
    """Rows of numbers or bytes as a tensor; ValueError when they are something else."""
    if isinstance(x, Tensor):
        rows = x.detach()
    else:
        if hasattr(x, "columns") and hasattr(x, "iloc"):
            check_frame(x)
            x = x.to_numpy(dtype=np.float64, na_value=np.nan)
        elif hasattr(x, "to_numpy"):
            x = x.to_numpy()
        rows = from_numpy(x, name)
    if rows.is_complex() or rows.dtype == torch.bool:
        raise ValueError(f"expected {name} as numbers or bytes, got {rows.dtype}")
    if not rows.ndim:
        raise ValueError(f"expected rows of {name}, got one number")
    return rows


def check_frame(frame: Any) -> None:
    """Refuse a frame with a column that holds no numbers."""
    kinds = {str(name): str(dtype) for name, dtype in zip(frame.columns, frame.dtypes, strict=True)}
    numbers = ("int", "uint", "float", "bool")
    odd = {name: kind for name, kind in kinds.items() if not kind.lower().startswith(numbers)}
    if odd:
        raise ValueError(f"expected columns of numbers, got "
                         f"{', '.join(f'{name!r} ({kind})' for name, kind in odd.items())}; "
                         "table(frame, target=...) reads words too")


def from_numpy(x: Any, name: str) -> Tensor:
    """An array of numbers of any layout and byte order as a tensor."""
    try:
        array = np.asarray(x)
    except ValueError:
        raise ValueError(f"{name} has rows of different shapes, expected one shape") from None
    if array.dtype.kind not in "biufc":
        first = array.reshape(-1)[0] if array.size else ""
        raise ValueError(f"expected {name} as numbers or bytes, got {array.dtype}, the first of type "
                         f"{type(first).__name__}")
    if array.dtype.itemsize > 8 and array.dtype.kind == "f":
        array = array.astype(np.float64)
    array = array.astype(array.dtype.newbyteorder("="), copy=not array.flags.writeable)
    return torch.from_numpy(np.ascontiguousarray(array) if array.ndim else array)


def label_rows(y: Any, classes: Sequence[str] | None) -> tuple[Tensor, list[str] | None]:
    """Labels or values as a tensor, and the names of the classes when the labels bring them: words, or true
    and false.

    Args:
        y: numbers, words or truths.
        classes: the names, in the order of their numbers; words must be among them.

    Raises:
        ValueError: a label that is missing, or not among the classes (row named).
    """
    given = list(classes) if classes is not None else None
    if isinstance(y, Tensor):
        return (y.long(), given or ["False", "True"]) if y.dtype == torch.bool else (whole(y, given), given)
    if hasattr(y, "columns") and hasattr(y, "iloc"):
        if len(y.columns) != 1:
            raise ValueError(f"expected one column of labels, got {len(y.columns)}")
        y = y.iloc[:, 0]
    array = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
    if array.dtype.kind == "b":
        return torch.from_numpy(array.astype(np.int64)), given or ["False", "True"]
    if array.dtype.kind not in "OUT":
        return whole(from_numpy(array, "y"), given), given
    labels = array.tolist()
    gone = next((i for i, label in enumerate(labels) if label is None or label != label), None)
    if gone is not None:
        raise ValueError(f"the label of row {gone} is missing ({labels[gone]})")
    odd = next((i for i, label in enumerate(labels) if not isinstance(label, str)), None)
    if odd is not None:
        kind = type(labels[odd]).__name__
        raise ValueError(f"expected labels as words or numbers, got {kind} in row {odd}")
    names = given or sorted(set(labels))
    number = {name: k for k, name in enumerate(names)}
    odd = next((i for i, label in enumerate(labels) if label not in number), None)
    if odd is not None:
        raise ValueError(f"label '{labels[odd]}' of row {odd} is none of the classes {', '.join(names)}")
    return torch.tensor([number[label] for label in labels]), names


def whole(y: Tensor, classes: list[str] | None) -> Tensor:
    """Numbers as they are; as labels when classes are named."""
    if classes is None or not y.is_floating_point():
        return y
    odd = (finite(y, "y") != y.round()).nonzero()
    if len(odd):
        row = int(odd[0, 0])
        raise ValueError(f"label {float(y[row].flatten()[0]):g} of row {row} is not a whole number, which a "
                         f"class is")
    return y.long()


def finite(values: Tensor, name: str) -> Tensor:
    """The values as float32; ValueError names the first row that is not finite."""
    values = values.float()
    bad = ~values.isfinite().flatten(1).all(1) if values.ndim > 1 else ~values.isfinite()
    if bad.any():
        raise ValueError(f"{name} is NaN or infinite in {int(bad.sum())} of {len(values)} rows, first in row "
                         f"{int(bad.nonzero()[0])}")
    return values
