"""Columns to features and answers: what is learned from the training rows, and its use on any rows.

    number      (v - mean) / std of the training rows; a missing one is 0, and 1 in the column `name is
    missing` before that is scaled category    a column for each word of the training rows, scaled likewise; a
    word that is not among them is none of them

N rows, D encoded columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .metadata import Metadata
from .notices import counted
from .table_cells import CODE, DATE, INFINITE, MISSING, NUMBER, WORD, Column
from .table_columns import Decision, decide, missing_cell, numbers_of, truth_of, words_of, written, wrong_cell

MOST_BYTES = 2 * 2**30          # of dense features
MOST_CLASSES = 20               # a target of whole numbers with more different values than this is a quantity


@dataclass
class Features:
    """Encoded features, and what it takes to encode other rows likewise."""

    types: dict[str, str]                                           # of the columns used
    categories: dict[str, list[str]] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)                # (D,) names
    mean: list[float] = field(default_factory=list)                 # (D,)
    std: list[float] = field(default_factory=list)                  # (D,)
    missing: dict[str, int] = field(default_factory=dict)           # cells, of the columns that have some
    dropped: dict[str, str] = field(default_factory=dict)           # columns left out, and why
    notes: list[str] = field(default_factory=list)
    x: Tensor = field(default_factory=lambda: torch.empty(0, 0))    # (N, D)

    @classmethod
    def of(cls, metadata: Metadata) -> "Features":
        """What was learned, from the metadata of a table."""
        return cls(metadata["types"], metadata["categories"], metadata["columns"], metadata["mean"],
                   metadata["std"])

    def add(self, name: str, mean: float, std: float) -> None:
        """One more encoded column."""
        if not np.isfinite(mean) or not np.isfinite(std):
            raise ValueError(f"column '{name}' has values too large to scale; take their logarithm, or leave "
                             f"the column out")
        self.columns.append(name)
        self.mean.append(float(mean))
        self.std.append(float(std))


def absent(name: str) -> str:
    """The name of the column that says where another is missing."""
    return f"{name} is missing"


def learn(columns: Mapping[str, Column], decisions: Mapping[str, Decision], train: np.ndarray,
          fill: str) -> Features:
    """Features of all rows, scaled by the training rows.

    Args:
        columns: of the table without its target.
        decisions: for each column.
        train: (N,) bool.
        fill: `mean` or `refuse`.
    """
    learned = Features({})
    for name, column in columns.items():
        decision = decisions[name]
        if gone := len(column) - column.present:
            learned.missing[name] = gone
        if decision.type == "ignore":
            learned.dropped[name] = decision.why
            continue
        if gone and fill == "refuse":
            raise missing_cell(column)
        before = len(learned.columns)
        learner = learn_category if decision.type == "category" else learn_number
        why = learner(learned, column, decision.type, train)
        if len(learned.columns) == before:
            learned.dropped[name] = why
            continue
        learned.types[name] = decision.type
        learned.notes += [f"column '{name}': {note}" for note in [*decision.notes, *([why] if why else [])]]
        if gone:
            learned.notes.append(missing_note(learned, column, decision.type))
    if not learned.columns:
        why = "; ".join(f"'{name}' {why}" for name, why in learned.dropped.items())
        raise ValueError(f"no column is left to learn from: {why}")
    if twice := next((name for name in learned.columns if learned.columns.count(name) > 1), None):
        raise ValueError(f"a column has the name '{twice}', which is what an encoded column is called; give "
                         f"it another")
    x, notes = encode({name: columns[name] for name in learned.types}, learned, fill)
    learned.x, learned.notes = torch.from_numpy(x), learned.notes + notes
    return learned


def missing_note(learned: Features, column: Column, type: str) -> str:
    """What was done with the missing values of a column."""
    how = "a missing value is none of its words" if type == "category" else "filled with the training mean"
    marked = absent(column.name) in learned.columns
    return (f"column '{column.name}': {counted(len(column) - column.present, 'missing value')} of "
            f"{len(column):,}, {how}"
            + (f", and marked in the column '{absent(column.name)}'" if marked else ""))


def learn_number(learned: Features, column: Column, type: str, train: np.ndarray) -> str:
    """Mean and deviation of a number, boolean or date, and of where it is missing; the reason when it is left
    out."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = numbers_of(column, type)[train]
        missing = np.isnan(values)
        known = values[~missing]
        why = "" if len(known) and known.min() != known.max() else "has one value only in the training rows"
        if not why:
            filled = np.where(missing, known.mean(), values)
            learned.add(column.name, filled.mean(), filled.std())
    learn_missing(learned, column.name, missing)
    return why


def learn_missing(learned: Features, name: str, missing: np.ndarray) -> None:
    """A column of where values are missing, when some of the training rows' are and some are not."""
    if missing.any() and not missing.all():
        learned.add(absent(name), missing.mean(), missing.std())


def learn_category(learned: Features, column: Column, type: str, train: np.ndarray) -> str:
    """The words of the training rows; the reason when the column is left out."""
    codes, words = words_of(column)
    codes = codes[train]
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    used = np.flatnonzero(counts)
    if len(used) > 1:
        learned.categories[column.name] = [words[k] for k in used.tolist()]
        for k in used.tolist():
            share = counts[k] / len(codes)
            learned.add(f"{column.name}={words[k]}", share, np.sqrt(share * (1 - share)))
    learn_missing(learned, column.name, codes < 0)
    return "" if len(used) > 1 else "has one value only in the training rows"


def encode(columns: Mapping[str, Column], learned: Features, fill: str) -> tuple[np.ndarray, list[str]]:
    """The features of these rows, (N, D) float32, and what its user should know."""
    rows, width, notes = len(next(iter(columns.values()))), len(learned.columns), []
    if rows * width * 4 > MOST_BYTES:
        raise ValueError(f"{rows:,} rows of {width:,} features take {rows * width * 4 / 2**30:.1f} GB, more "
                         f"than "
                         f"the {MOST_BYTES / 2**30:.0f} GB allowed; leave columns out (types=) or take fewer "
                         f"rows")
    x = np.empty((rows, width), dtype=np.float32)
    place = {name: j for j, name in reversed(list(enumerate(learned.columns)))}
    for name, column in columns.items():
        type = learned.types[name]
        missing = column.kinds == MISSING
        if missing.any() and fill == "refuse":
            raise missing_cell(column)
        if absent(name) in place:
            scale(x, place[absent(name)], missing, learned)
        elif missing.any() and name not in learned.missing:
            notes.append(f"column '{name}': {counted(int(missing.sum()), 'missing value')}, none in the "
                         f"training rows; taken for the mean")
        if type == "category" and name in learned.categories:
            notes += encode_words(x, place, column, learned)
        elif name in place:
            values = fitting_numbers(column, type)
            scale(x, place[name], np.where(np.isnan(values), learned.mean[place[name]], values), learned)
    return x, notes


def scale(x: np.ndarray, j: int, values: np.ndarray, learned: Features) -> None:
    """Write values into column j with the mean and deviation learned for it."""
    x[:, j] = (values - learned.mean[j]) / learned.std[j]


def fitting_numbers(column: Column, type: str) -> np.ndarray:
    """The values of a column that was learned as number, boolean or date; ValueError names a cell that is
    none."""
    if type == "boolean":
        truths = truth_of(column) is not None or column.typed == "boolean"
        if not truths and column.present and not np.isin(column.values[column.kinds != MISSING],
                                                         (0, 1)).all():
            raise wrong_cell(column, next(k for k in (WORD, NUMBER, CODE, DATE, INFINITE) if column.count(k)),
                             "true or false")
        return numbers_of(column, type)
    wrong = (WORD, NUMBER, CODE, INFINITE) if type == "date" else (WORD, INFINITE, DATE)
    if bad := next((kind for kind in wrong if column.count(kind)), None):
        raise wrong_cell(column, bad, "a date (YYYY-MM-DD)" if type == "date" else "a number")
    return column.values


def encode_words(x: np.ndarray, place: dict[str, int], column: Column, learned: Features) -> list[str]:
    """Write a column for each word of a category; a line about words that were not learned."""
    if column.codes is None:
        raise ValueError(f"column '{column.name}' has too many different words, expected those of "
                         f"{learned.categories[column.name][:3]} ...")
    known = learned.categories[column.name]
    start = place[f"{column.name}={known[0]}"]
    stop = start + len(known)
    mean, std = (np.array(part[start:stop]) for part in (learned.mean, learned.std))
    number = {word: k for k, word in enumerate(known)}
    codes, words = words_of(column)
    numbers = np.array([number.get(word, -1) for word in words] + [-1])[codes]
    x[:, start:stop] = -mean / std
    rows = np.flatnonzero(numbers >= 0)
    x[rows, start + numbers[rows]] = ((1 - mean) / std)[numbers[rows]]
    unknown = [word for word in words if word not in number]
    count = int(((numbers < 0) & (codes >= 0)).sum())
    return [f"column '{column.name}': {counted(count, 'row')} with words that are not in the training rows "
            f"({', '.join(map(repr, unknown[:3]))}{', ...' if len(unknown) > 3 else ''}), taken for none of "
            f"its words"] if unknown else []


@dataclass
class Answers:
    """The target: labels int64 with the names of their classes, or values float32."""

    y: np.ndarray
    classes: list[str]
    notes: list[str]

    @property
    def labels(self) -> np.ndarray | None:
        """(N,) the class of each row; None for values."""
        return self.y if self.classes else None

    def metadata(self, train: np.ndarray) -> Metadata:
        """Task, and classes or the mean and deviation of the training rows."""
        if self.classes:
            return {"task": "classify", "classes": self.classes}
        values = self.y[train].astype(np.float64)
        return {"task": "regress", "target_mean": float(values.mean()), "target_std": float(values.std())}


def answers(column: Column, forced: str | None, task: str | None) -> Answers:
    """The target as labels or values.

    Raises:
        ValueError: a missing value (row named), words to regress, one value only, too many values for
            classes.
    """
    if column.count(MISSING):
        raise missing_cell(column)
    decision = decide(column, forced, target=True)
    if decision.type == "ignore":
        raise ValueError(f"the target '{column.name}' cannot be left out: {decision.why}")
    notes = [f"target '{column.name}': {note}" for note in decision.notes]
    if decision.type in ("category", "boolean"):
        if task == "regress":
            raise ValueError(f"column '{column.name}' holds words, expected numbers (the first is "
                             f"{first_word(column)})")
        return of_words(column, decision.type, notes)
    values = numbers_of(column, decision.type)
    different = np.unique(values)
    whole = bool((different == np.round(different)).all())
    if len(different) < 2:
        raise ValueError(f"the target '{column.name}' has one value only, {different[0]:g}: there is nothing "
                         f"to learn")
    if task == "regress" or (task is None and (not whole or len(different) > MOST_CLASSES
                                               or decision.type == "date")):
        return Answers(values.astype(np.float32), [], notes)
    check_classes(column, len(different))
    return Answers(np.searchsorted(different, values), [written(value) for value in different.tolist()],
                   notes)


def of_words(column: Column, type: str, notes: list[str]) -> Answers:
    """Words as labels, in the order of the alphabet; words for true and false are one class in whatever case
    they stand."""
    codes, words = words_of(column)
    if type == "boolean" and len(words) > len({word.lower() for word in words}):
        lower = sorted({word.lower() for word in words})
        codes, words = np.array([lower.index(word.lower()) for word in words])[codes], lower
        notes = [*notes, f"target '{column.name}': words that differ in large and small letters only are one "
                         f"class"]
    if len(words) < 2:
        raise ValueError(f"the target '{column.name}' has one value only, '{words[0]}': there is nothing to "
                         f"learn")
    check_classes(column, len(words))
    return Answers(codes, words, notes)


def check_classes(column: Column, count: int) -> None:
    """Refuse a target with so many different values that they are no classes."""
    if count > MOST_CLASSES and count > len(column) / 2:
        raise ValueError(f"the target '{column.name}' has {count:,} different values in {len(column):,} "
                         f"rows: names, not classes; "
                         "set target= to another column, or task='regress'")


def first_word(column: Column) -> Any:
    """The first word of a column, for a message."""
    return repr(column.words[int(column.codes[0])]) if column.codes is not None else "a word"
