"""Points: rows of D numbers to fit a density to.

    data = points("moons", batch=256)        # or points("points.csv"), points(array)
    x, y = data.at(0)                        # x float32 (B, D); y is all 0 where there are no classes

The numbers are given out as they are; `.metadata` has the mean and the deviation of each. A fifth of the
rows, drawn once, is for testing. N rows.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from . import sets
from .array_read import finite, is_array_file, number_rows, rows_of
from .batches import Batches, Content, sha256
from .metadata import Metadata
from .notices import counted, say
from .split import held_out
from .table_cells import MISSING
from .table_columns import decide, missing_cell, numbers_of
from .table_read import Handle, Reading, Table, handle
from .toys import TOYS, toy


class Numbers(NamedTuple):
    """Points as they were read: values (N, D), names of the columns, what was done with them, the sha256 of
    the content."""

    values: np.ndarray
    columns: list[str]
    notes: list[str]
    sha256: str


class Prepared(NamedTuple):
    """Points that are ready to be given out."""

    x: Tensor                   # (N, D) float32
    test: Tensor                # (N,) bool
    metadata: Metadata


def points(source: Any, *, split: str = "train", batch: int = 128, seed: int = 0, shuffle: bool | None = None,
           count: int = 10_000) -> Batches:
    """Points of a toy, of a file, or of your own.

    Args:
        source: the name of a toy (`toys.TOYS`); the path of a CSV (or another file that `table` reads),
            `.npy` or `.npz` file, all of whose columns are numbers; an array or tensor (N, D); a frame or a
            dict of columns; or a pair of any of these and the classes of its rows, numbers or names.
        split: `train` (four fifths) or `test`.
        shuffle: by default the train split is shuffled and the test split is in order.
        count: points of a toy, in each split.

    Raises:
        ValueError: a name that is no toy, a column that holds no numbers, a value that is missing or infinite
            (row and column are named).
        FileNotFoundError: there is no such file.
    """
    if isinstance(source, str) and (source in TOYS or not (sets.is_path(source) or is_array_file(source))):
        return toy(source, split=split, batch=batch, seed=seed, shuffle=shuffle, count=count)
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    rows, classes = source if isinstance(source, tuple) and len(source) == 2 else (source, None)
    content, (y, names) = numeric(rows), labelled(classes)

    def load() -> Content:
        x, test, metadata = prepared(content)
        if y is not None and len(y) != len(x):
            raise ValueError(f"{content.name}: expected a class for each of {counted(len(x), 'row')}, "
                             f"got {len(y)}")
        part = test == (split == "test")
        if not part.any():
            raise ValueError(f"{content.name}: {counted(len(x), 'row')} are too few to leave one for the "
                             f"{split} split")
        if y is None:
            return Content(x[part], torch.zeros(int(part.sum()), dtype=torch.int64), None, metadata)
        return Content(x[part], y[part], None, metadata | {"classes": names, "sha256": sha256(x, y)})

    shuffled = split == "train" if shuffle is None else shuffle
    key = f"points:{content.name}:{split}" + (f":{sha256(y)[:12]}" if y is not None else "")
    return Batches(key, load, batch=batch, shuffle=shuffled, seed=seed, augment=None)


def labelled(classes: Any) -> tuple[Tensor | None, list[str]]:
    """The classes of points as numbers from 0, and their names; None where there are none."""
    if classes is None:
        return None, []
    given = np.asarray(classes)
    if given.ndim != 1:
        raise ValueError(f"expected the classes of points as (N,), got {given.shape}")
    found, y = np.unique(given, return_inverse=True)
    return torch.from_numpy(y), [str(name) for name in found]


def numeric(source: Any) -> Handle:
    """Where the points are read from: arrays as they are, all else as a table of numbers."""
    if is_array_file(source):
        path = Path(source)
        version = path.stat().st_mtime_ns if path.is_file() else None
        return Handle(str(source), version, lambda _: of_array(rows_of(source).x, str(source)))
    structured = isinstance(source, np.ndarray) and source.dtype.names is not None
    if isinstance(source, np.ndarray | Tensor | list) and not structured:
        found = of_array(source, "x")
        return Handle(f"array-{found.sha256[:12]}", None, lambda _: found)
    table = handle(source)
    return Handle(table.name, table.version, lambda reading: of_table(table.read(reading), table.name))


def of_array(x: Any, name: str) -> Numbers:
    """The points of an array (N, D)."""
    rows = number_rows(x, name)
    if rows.ndim != 2 or not rows.shape[1]:
        raise ValueError(f"expected points (N, D), got {name} of the shape {tuple(rows.shape)}")
    rows = finite(rows, name)
    return Numbers(rows.double().numpy(), [f"x{j}" for j in range(rows.shape[1])], [], sha256(rows))


def of_table(found: Table, name: str) -> Numbers:
    """The points of a table, each column of which must be numbers."""
    columns, notes = [], [*found.notes, *(f"{dropped} was left out: {why}"
                                          for dropped, why in found.dropped.items())]
    for column in found.columns.values():
        try:
            if column.count(MISSING):
                raise missing_cell(column)
            decision = decide(column, "number")
        except ValueError as error:
            raise ValueError(f"{name}: points are rows of numbers: {error}") from None
        notes += [f"column '{column.name}': {note}" for note in decision.notes]
        columns.append(numbers_of(column, decision.type))
    if not columns or not found.rows:
        raise ValueError(f"{name}: expected rows of numbers, found {found.rows} rows of "
                         f"{counted(len(columns), 'column')}")
    return Numbers(np.stack(columns, 1), list(found.columns), notes, found.sha256)


@lru_cache(maxsize=2)
def prepared(source: Handle) -> Prepared:
    """Points with their mean and deviation over the training rows."""
    values, columns, notes, digest = cast(Numbers, source.read(Reading()))
    if len(values) < 2:
        raise ValueError(f"{source.name}: expected two rows or more, found {len(values)}")
    test = held_out(len(values))
    say(notes, source.name)
    metadata = {"columns": columns, "mean": values[~test].mean(0).tolist(),
                "std": values[~test].std(0).tolist(), "notes": notes,
                "sha256": digest}
    return Prepared(finite(torch.from_numpy(values), source.name), torch.from_numpy(test), metadata)


def describe_points(source: Any, *, count: int = 10_000) -> dict[str, Any]:
    """What `points` would read, as plain values: rows, columns, mean and deviation of each."""
    train, test = (points(source, split=split, count=count) for split in ("train", "test"))
    metadata = train.metadata
    return {"kind": "points", "source": train.key.partition(":")[2].partition(":train")[0],
            "rows": train.count + test.count, "train": train.count, "test": test.count,
            "shape": list(train.shape), "columns": metadata.get("columns", []), "mean": metadata["mean"],
            "std": metadata["std"],
            "classes": train.classes, "notes": metadata.get("notes", []), "sha256": metadata["sha256"]}
