"""What a classifier confuses: its classes, confusion matrix and surest mistakes, read from `evaluation/`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy
from numpy.typing import NDArray

from deepcanon.engine.checkpoint import read_json
from deepcanon.report.pictures import Picture, tiles

MATRIX = 60  # classes above which no matrix is drawn


@dataclass(frozen=True)
class ClassRow:
    """The numbers of one class; NaN where one is not defined: the precision of a class never predicted."""

    name: str
    precision: float
    recall: float
    f1: float
    count: int


@dataclass(frozen=True)
class Mistake:
    """One example of another class than predicted, and the probability that was given to the prediction."""

    index: int
    true: str
    predicted: str
    probability: float
    picture: Picture | None = None


@dataclass
class Classes:
    """Predictions of a classifier on held-out examples.

    Args:
        names: of the K classes.
        y, predicted: class numbers.
        mistakes: examples that are shown.
    """

    names: list[str]
    y: NDArray
    predicted: NDArray
    mistakes: list[Mistake]

    @cached_property
    def confusion(self) -> NDArray:
        """(K, K) counts: true class by predicted class."""
        k = len(self.names)
        return numpy.bincount(self.y * k + self.predicted, minlength=k * k).reshape(k, k)

    @property
    def wrong(self) -> int:
        """How many predictions are wrong."""
        return int((self.y != self.predicted).sum())

    @cached_property
    def rows(self) -> list[ClassRow]:
        """The classes, the lowest F1 first; those without examples last."""
        right, true, said = self.confusion.diagonal(), self.confusion.sum(1), self.confusion.sum(0)
        with numpy.errstate(divide="ignore", invalid="ignore"):
            columns = right / said, right / true, 2 * right / (said + true)
        rows = [
            ClassRow(name, float(p), float(r), float(f1), int(n))
            for name, p, r, f1, n in zip(self.names, *columns, true)
        ]
        return sorted(rows, key=lambda row: (row.count == 0, row.f1))

    @cached_property
    def confused(self) -> list[tuple[str, str, int, float]]:
        """The most frequent confusions: true class, predicted class, count, share of the true class."""
        off = self.confusion * (1 - numpy.eye(len(self.names), dtype=int))
        order = numpy.argsort(-off, axis=None, kind="stable")[:8]
        pairs = [(int(i) // len(self.names), int(i) % len(self.names)) for i in order]
        return [
            (self.names[i], self.names[j], int(off[i, j]), float(off[i, j] / self.confusion[i].sum()))
            for i, j in pairs
            if off[i, j]
        ]

    @property
    def drawn(self) -> bool:
        """Whether the confusion matrix is small enough to be read."""
        return len(self.names) <= MATRIX

    @property
    def short(self) -> bool:
        """Whether the names fit above the columns of the matrix."""
        return len(self.names) <= 16 and max(map(len, self.names)) <= 5

    @cached_property
    def cells(self) -> list[list[tuple[int, float]]]:
        """Of each true class, the count and the share of every predicted class."""
        shares = self.confusion / numpy.maximum(1, self.confusion.sum(1, keepdims=True))
        return [list(zip(map(int, counts), map(float, row))) for counts, row in zip(self.confusion, shares)]


def classifier_section(folder: Path) -> Classes | None:
    """The predictions that `write_predictions` kept in a run folder; None where there are none.

    Raises:
        ValueError: a predictions.json of another form.
    """
    path = Path(folder) / "evaluation" / "predictions.json"
    if not path.exists():
        return None
    record = read_json(path)
    try:
        names = [str(name) for name in record["classes"]]
        y, predicted = (numpy.asarray(record[k], dtype=int) for k in ("y", "predicted"))
        probability = [float(v) for v in record["probability"]]
        shown = [int(i) for i in record["mistakes"]]
        if (
            not 0 < len(y) == len(predicted) == len(probability)
            or min(y.min(), predicted.min(), *shown, 0) < 0
        ):
            raise ValueError("columns of different lengths, or numbers below 0")
        mistakes = [Mistake(i, names[y[i]], names[predicted[i]], probability[i]) for i in shown]
        names[max(y.max(), predicted.max())]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{path} is not a record of predictions: {error}") from None
    return Classes(names, y, predicted, pictured(mistakes, path.parent / "mistakes.png"))


def pictured(mistakes: list[Mistake], path: Path) -> list[Mistake]:
    """The mistakes with their images, where there are any."""
    if not mistakes or not path.exists():
        return mistakes
    return [
        Mistake(m.index, m.true, m.predicted, m.probability, image)
        for m, image in zip(mistakes, tiles(path, len(mistakes)))
    ]
