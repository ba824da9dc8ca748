"""A table: rows of numbers and words, one column to predict.

    data = table("wine.csv", target="quality")
    x, y = data.at(0)           # x float32 (B, D); y int64 (B,) labels or float32 (B,) values

What a column is, is decided from all of its cells. Numbers are brought to mean 0 and variance 1 by the
training rows, a column of words becomes one column a word. A fifth of the rows, drawn once and of each class,
is for testing. `.metadata` has all that is needed to bring new rows into the same form (`encode_rows`), and
what was left out and why. N rows, D encoded columns, B rows a batch.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import sets
from .batches import Batches, Content
from .metadata import Metadata
from .notices import counted, say
from .split import held_out
from .table_cells import Column
from .table_columns import TYPES, decide
from .table_encode import Answers, Features, answers, encode, learn
from .table_read import Handle, Reading, Table, handle

TARGETS = ("target", "label", "labels", "class",
           "y")       # names of the column to predict, when none is given
FILLS = ("mean", "refuse")
TASKS = ("classify", "regress")


class Options(NamedTuple):
    """What `table` was asked for, beside the batches."""

    target: str | None
    task: str | None
    types: tuple[tuple[str, str], ...]
    fill: str
    reading: Reading


class Prepared(NamedTuple):
    """A table that is ready to be given out: features, answers, the rows for testing, metadata."""

    x: Tensor                   # (N, D)
    y: Tensor                   # (N,)
    test: Tensor                # (N,) bool
    metadata: Metadata
    cells: list[dict[str, Any]]     # of each column its name, missing cells and distinct values


def table(source: Any, *, target: str | None = None, split: str | None = "train", batch: int = 128,
          seed: int = 0,
          shuffle: bool | None = None, task: str | None = None, separator: str | None = None,
          decimal: str | None = None,
          encoding: str | None = None, missing: Sequence[str] | None = None,
          types: Mapping[str, str] | None = None,
          fill: str = "mean", names: Sequence[str] | None = None) -> Batches:
    """Rows of a table.

    Args:
        source: a known name (`deepcanon data list`); the path of a CSV, TSV (or `.gz` of these), Parquet,
            Excel or Feather file; a pandas or polars frame; a Hugging Face data set; a dict of columns; an
            array (N, D); a pair (x, y).
        target: the column to predict; None: the one named target, label, class or y, else the last.
        split: `train` (four fifths), `test`, or None for all rows.
        shuffle: by default the train split is shuffled and other rows are in order.
        task: `classify` or `regress`; None: classes when the target holds words or up to 20 different whole
            numbers, else a number.
        separator: of the cells; None: comma, semicolon, tab or pipe, whichever fits. Spaces around a cell are not
            part of it.
        decimal: `.` or `,`; None: whichever the numbers have.
        encoding: of the file; None: what its byte order mark says, else UTF-8, else Latin-1, which is said.
        missing: texts that mark a missing value, instead of ?, NA, N/A, -, null, none, nan; an empty cell
            always does.
        types: by column, `number`, `category` or `ignore`, instead of what its cells say.
        fill: `mean`: a missing number becomes the training mean, beside a column that says where it was
            missing; `refuse`: it is an error.
        names: of the columns, for a file whose first row holds data.

    Raises:
        ValueError: a cell that does not fit its column, a row of another length, a target with missing values
            (row and column are named).
        FileNotFoundError: there is no such file.
    """
    if split not in ("train", "test", None):
        raise ValueError(f"split must be 'train', 'test' or None, got {split!r}")
    options = checked(target, task, types, fill, Reading(separator, decimal, encoding, frozen(missing),
                                                         frozen(names)))
    content = handle(source)
    key = ":".join(["table", content.name, *asked(options), split or "all"])
    shuffled = split == "train" if shuffle is None else shuffle
    return Batches(key, lambda: part(content, options, split), batch=batch, shuffle=shuffled, seed=seed,
                   augment=None)


def checked(target: str | None, task: str | None, types: Mapping[str, str] | None, fill: str,
            reading: Reading) -> Options:
    """The options of a call; ValueError for one that does not exist."""
    for name, value, known in (("task", task, (*TASKS, None)), ("fill", fill, FILLS),
                               ("decimal", reading.decimal, (".", ",", None)),
                               *(("types", type, TYPES) for type in (types or {}).values())):
        if value not in known:
            raise ValueError(f"{name} must be {' or '.join(repr(k) for k in known)}, got {value!r}")
    if reading.separator is not None and len(reading.separator) != 1:
        raise ValueError(f"separator must be one character, got {reading.separator!r}")
    if reading.separator is not None and reading.separator == reading.decimal:
        raise ValueError(f"separator and decimal are both {reading.separator!r}")
    return Options(target, task, tuple(sorted((types or {}).items())), fill, reading)


def frozen(texts: Sequence[str] | None) -> tuple[str, ...] | None:
    """A list that can be compared and kept; ValueError for a single string, which is one only by mistake."""
    if isinstance(texts, str):
        raise ValueError(f"expected a list of texts, got {texts!r}")
    return None if texts is None else tuple(texts)


def asked(options: Options) -> list[str]:
    """The options that are not the defaults, as a part of a key."""
    extra = options.reading._asdict() | {"task": options.task, "types": dict(options.types),
                                         "fill": options.fill}
    given = {name: value for name, value in extra.items() if value and value != "mean"}
    return [*([options.target] if options.target else []), *(f"{name}={value}"
                                                             for name, value in given.items())]


def part(source: Handle, options: Options, split: str | None) -> Content:
    """The rows of a split."""
    x, y, test, metadata, _ = prepared(source, options, split is None)
    rows = torch.ones_like(test) if split is None else test == (split == "test")
    if not rows.any():
        raise ValueError(f"{source.name}: {counted(len(y), 'row')} are too few to leave one for the {split} "
                         f"split")
    return Content(x[rows], y[rows], None, metadata)


@lru_cache(maxsize=2)
def prepared(source: Handle, options: Options, whole: bool) -> Prepared:
    """A table with its features and answers; one copy in memory, however many ask (`whole`: no row is kept
    for testing)."""
    try:
        found = source.read(options.reading)
        if found.rows < 2:
            raise ValueError(f"expected a row of names and at least two rows, found "
                             f"{counted(found.rows, 'row')}")
        target, how = target_of(found, options.target)
        decisions = decide_all(found, target, dict(options.types))
        goal = answered(found.columns[target], options)
        test = np.zeros(found.rows, dtype=bool) if whole else held_out(found.rows, goal.labels)
        features = learn({name: found.columns[name] for name in decisions}, decisions, ~test, options.fill)
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(source.name)
                         else f"{source.name}: {error}") from None
    known = source.version is None and source.name in sets.names("table")
    notes = [*found.notes, *([] if known else how), *features.notes, *goal.notes, *lonely(goal)]
    dropped = {**found.dropped, **features.dropped}
    say([*notes, *(f"column '{name}' was left out: {why}" for name, why in dropped.items())], source.name)
    metadata = {"columns": features.columns, "mean": features.mean, "std": features.std,
                "types": features.types,
                "categories": features.categories, "target": target, **goal.metadata(~test),
                "rows": found.rows, "dropped": dropped,
                "missing": features.missing, "fill": options.fill, **found.layout, "notes": notes,
                "sha256": found.sha256}
    if options.reading.missing is not None:
        metadata["missing_marks"] = list(options.reading.missing)
    cells = [{"name": name, "missing": len(column) - column.present, "distinct": column.distinct()}
             for name, column in found.columns.items()]
    return Prepared(features.x, torch.from_numpy(goal.y), torch.from_numpy(test), metadata, cells)


def answered(column: Column, options: Options) -> Answers:
    """The labels or values of the target; an error adds that this target was a guess, if it was."""
    try:
        return answers(column, dict(options.types).get(column.name), options.task)
    except ValueError as error:
        guessed = "" if options.target else f" ('{column.name}' was taken for the target: set target= to another)"
        raise ValueError(f"{error}{guessed}") from None


def target_of(found: Table, target: str | None) -> tuple[str, list[str]]:
    """The column to predict, and a line that says so when it was not given."""
    names = list(found.columns)
    if target is not None:
        if target not in names:
            raise ValueError(f"there is no column '{target}'{sets.nearest(target, names)}")
    elif not names:
        raise ValueError("expected a column beside the target, found none")
    if len(names) == 1:
        raise ValueError(f"expected a column beside the target, found only '{names[0]}' (cells are separated "
                         f"by comma, semicolon, tab or "
                         "pipe, or as separator= says)")
    if target is not None:
        return target, []
    likely = next((name for known in TARGETS for name in names if name.lower() == known), names[-1])
    return likely, [f"the target is the column '{likely}'; set target= to predict another"]


def decide_all(found: Table, target: str, types: dict[str, str]) -> dict[str, Any]:
    """The decision for every column beside the target."""
    unknown = next((name for name in types if name not in found.columns), None)
    if unknown is not None:
        raise ValueError(f"types names a column '{unknown}' that is not "
                         f"there{sets.nearest(unknown, list(found.columns))}")
    return {name: decide(column, types.get(name)) for name, column in found.columns.items() if name != target}


def lonely(goal: Answers) -> list[str]:
    """A line about classes of one row, which cannot be tested."""
    single = [name for name, count in zip(goal.classes, np.bincount(goal.y) if goal.classes else [],
                                          strict=True) if count == 1]
    return [f"classes of a single row, kept for training: {', '.join(single)}"] if single else []


def encode_rows(metadata: Metadata, source: Any, *, separator: str | None = None, decimal: str | None = None,
                encoding: str | None = None, names: Sequence[str] | None = None) -> Tensor:
    """New rows in the form of a table that a model was trained on.

    Args:
        metadata: of that table.
        source: whatever `table` takes; columns beside those of the training are not looked at, the target may
            be missing.
        separator, decimal, encoding, names: as in `table`.

    Returns:
        (N, D) float32. A word that was not seen in training is zero in all columns of its category, which is
        said.

    Raises:
        ValueError: columns are missing (all are named), or a cell does not fit its column.
    """
    content, marks = handle(source), metadata.get("missing_marks")
    reading = Reading(separator, decimal or metadata.get("decimal"), encoding, frozen(marks), frozen(names))
    found = content.read(reading)
    types: dict[str, str] = metadata["types"]
    absent = [name for name in types if name not in found.columns]
    if absent:
        raise ValueError(f"{content.name}: columns that the model was trained on are missing: "
                         f"{', '.join(map(repr, absent))}; "
                         f"found {', '.join(map(repr, found.columns))}")
    learned = Features.of(metadata)
    try:
        x, notes = encode({name: found.columns[name] for name in types}, learned, metadata["fill"])
    except ValueError as error:
        raise ValueError(f"{content.name}: {error}") from None
    extra = [name for name in found.columns if name not in types and name != metadata["target"]
             and name not in metadata["dropped"]]
    notes += [f"columns that the model was not trained on: {', '.join(map(repr, extra))}"] if extra else []
    say([*found.notes, *notes], content.name)
    return torch.from_numpy(x)


def describe_table(source: Any, *, target: str | None = None, task: str | None = None,
                   separator: str | None = None,
                   decimal: str | None = None, encoding: str | None = None,
                   missing: Sequence[str] | None = None,
                   types: Mapping[str, str] | None = None, fill: str = "mean",
                   names: Sequence[str] | None = None) -> dict[str, Any]:
    """What `table` would read, as plain values: rows, columns with their types, target, what is left out and
    why."""
    options = checked(target, task, types, fill, Reading(separator, decimal, encoding, frozen(missing),
                                                         frozen(names)))
    content = handle(source)
    x, y, test, metadata, cells = prepared(content, options, False)
    kinds = metadata["types"] | dict.fromkeys(metadata["dropped"],
                                              "left out") | {metadata["target"]: "target"}
    counts = torch.bincount(y).tolist() if "classes" in metadata else []
    return {"kind": "table", "source": content.name, "rows": len(y), "train": int((~test).sum()),
            "test": int(test.sum()),
            "columns": [{**cell, "type": kinds[cell["name"]]} for cell in cells], "features": x.shape[1],
            "target": metadata["target"],
            "task": metadata["task"], "classes": dict(zip(metadata.get("classes", []), counts, strict=True)),
            **{name: metadata[name] for name in ("dropped", "separator", "decimal", "encoding", "notes",
                                                 "sha256") if name in metadata}}
