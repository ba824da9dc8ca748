"""A table of your own: a CSV file with a header, one column to predict.

    data = table("wine.csv", target="quality")
    x, y = data.at(0)           # x float32 (B, D); y int64 (B,) labels or float32 (B,) values

Numbers are brought to mean 0 and variance 1 by the training rows, columns of words become one column a word.
A fifth of the rows, drawn once, is for testing. `.metadata` has all that is needed to bring new rows into the same form: columns, mean, std, words.
"""

import csv
import io
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from . import download, sets
from .batches import Batches, Content
from .metadata import Metadata

MOST_CLASSES = 20       # a column of whole numbers with more different values than this is a quantity


def table(source: str, *, target: str, split: str = "train", batch: int = 128, seed: int = 0,
          shuffle: bool | None = None, values: bool = False) -> Batches:
    """Rows of a CSV file (or `.csv.gz`).

    Args:
        source: path of the file; its first row names the columns.
        target: the column to predict: classes when it holds words or up to 20 different whole numbers, else a number.
        split: `train` (four fifths) or `test`.
        shuffle: by default the train split is shuffled and the test split is in order.
        values: predict a number even if the column looks like classes.

    Raises:
        ValueError: a missing column, an empty cell or NaN (row and column named), a row of another length.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got '{split}'")
    key, load = f"table:{source}:{target}:{split}", partial(content, Path(source), target, split, values)
    return Batches(key, load, batch=batch, shuffle=split == "train" if shuffle is None else shuffle, seed=seed, augment=None)


def content(path: Path, target: str, split: str, values: bool) -> Content:
    """The rows of a split, with the metadata of the whole table."""
    columns = read(path)
    if target not in columns:
        raise ValueError(f"{path} has no column '{target}'{sets.nearest(target, list(columns))}")
    cells = columns.pop(target)
    order = torch.randperm(len(cells), generator=torch.Generator().manual_seed(0))
    border = max(1, len(cells) * 4 // 5)
    train, rows = order[:border], order[:border] if split == "train" else order[border:]
    x, metadata = features(path, columns, train)
    y, names = answers(path, target, cells, values)
    metadata |= {"target": target} | ({"classes": names} if names else {})
    return Content(x[rows], y[rows], None, metadata)


def read(path: Path) -> dict[str, list[str]]:
    """The columns of a CSV file by name."""
    raw = download.unpacked(path)
    try:
        lines = [line for line in csv.reader(io.StringIO(raw.decode("utf-8-sig"))) if line]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8 text, found the byte 0x{raw[error.start]:02x} at position {error.start:,}") from None
    if len(lines) < 3:
        raise ValueError(f"{path}: expected a row of names and at least two rows, found {len(lines)} rows")
    header = lines[0]
    for row, line in enumerate(lines[1:], 1):
        if len(line) != len(header):
            raise ValueError(f"{path}: row {row} has {len(line)} cells, expected {len(header)}")
    return {name.strip(): [line[i].strip() for line in lines[1:]] for i, name in enumerate(header)}


def numbers(path: Path, name: str, cells: list[str]) -> Tensor | None:
    """A column as float64, None when it holds words; ValueError names the first cell that is empty, NaN or infinite."""
    try:
        column = torch.tensor([float(cell or "nan") for cell in cells], dtype=torch.float64)
    except ValueError:
        column = None
    missing = [not cell for cell in cells] if column is None else (~column.isfinite()).tolist()
    if any(missing):
        row = missing.index(True)
        found = cells[row] or "empty"
        raise ValueError(f"{path}: column '{name}' is {found} in row {row + 1}; fill or drop such rows ({sum(missing)} of {len(cells)})")
    return column


def features(path: Path, columns: dict[str, list[str]], train: Tensor) -> tuple[Tensor, Metadata]:
    """The columns as float32 (N, D), standardised by the training rows, and what it takes to do it again."""
    parts, metadata = [], {"columns": [], "mean": [], "std": [], "words": {}}
    for name, cells in columns.items():
        column = numbers(path, name, cells)
        if column is None:
            words = sorted(set(cells))
            parts.append(torch.tensor([[cell == word for word in words] for cell in cells]).double())
            metadata["columns"] += [f"{name}={word}" for word in words]
            metadata["words"][name] = words
        else:
            parts.append(column[:, None])
            metadata["columns"].append(name)
        mean, std = parts[-1][train].mean(0), parts[-1][train].std(0, correction=0)
        std = torch.where(std > 0, std, 1.0)
        parts[-1] = (parts[-1] - mean) / std
        metadata["mean"] += mean.tolist()
        metadata["std"] += std.tolist()
    if not parts:
        raise ValueError(f"{path}: expected a column beside the target, found none")
    return torch.cat(parts, 1).float(), metadata


def answers(path: Path, target: str, cells: list[str], values: bool) -> tuple[Tensor, list[str]]:
    """Labels int64 with their names, or values float32 and no names."""
    column = numbers(path, target, cells)
    if column is None and values:
        raise ValueError(f"{path}: column '{target}' holds words, expected numbers")
    if column is None:
        names = sorted(set(cells))
        return torch.tensor([names.index(cell) for cell in cells]), names
    different, place = column.unique(return_inverse=True)
    if values or len(different) > MOST_CLASSES or (different != different.round()).any():
        return column.float(), []
    return place, [str(int(value)) for value in different.tolist()]
