"""What a classifier gets right and how it errs: accuracy, the confusion matrix, and the counts of a detector.

    accuracy = sum_k C_kk / N,      C_jk = #{i : y_i = j, yhat_i = k}
    precision = TP / (TP + FP),     recall = TP / (TP + FN),     F1 = 2 TP / (2 TP + FP + FN)

Accuracy alone misleads where classes are of unequal size: always saying "normal" is right 99 times in 100 when one
case in 100 is an anomaly, with a recall of 0. A ratio of nothing to nothing is 0, as in scikit-learn.
N examples, K classes; j rows are truths, k columns predictions.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from deepcanon.layers.checks import of_shape


class Confusion(NamedTuple):
    """How often a detector was right and wrong: true and false positives, true and false negatives."""

    tp: int
    fp: int
    tn: int
    fn: int

    @property
    def accuracy(self) -> float:
        return ratio(self.tp + self.tn, sum(self))

    @property
    def precision(self) -> float:
        """Of those called positive, the share that is."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Of the positive ones, the share that is found: the true-positive rate."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def false_positive_rate(self) -> float:
        return ratio(self.fp, self.fp + self.tn)

    @property
    def f1(self) -> float:
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def confusion(predicted: Bool[Tensor, "N"], truth: Bool[Tensor, "N"]) -> Confusion:
    """The counts of a detector's verdicts.

    Raises:
        ValueError: no example, or as many verdicts as truths are not given.
    """
    some(of_shape("verdicts", predicted, truth.shape))
    tp, fp, fn = (int((a & b).sum()) for a, b in ((predicted, truth), (predicted, ~truth), (~predicted, truth)))
    return Confusion(tp, fp, len(truth) - tp - fp - fn, fn)


def confusion_matrix(predicted: Int[Tensor, "N"], truth: Int[Tensor, "N"], num_classes: int) -> Int[Tensor, "K K"]:
    """C: how often truth j (rows) was called k (columns).

    Raises:
        ValueError: no example, other shapes, or a label outside 0 ... K - 1.
    """
    some(of_shape("predictions", predicted, truth.shape))
    for name, labels in (("predictions", predicted), ("truths", truth)):
        if int(labels.min()) < 0 or int(labels.max()) >= num_classes:
            low, high = int(labels.min()), int(labels.max())
            raise ValueError(f"expected {name} in 0 ... {num_classes - 1}, got labels from {low} to {high}")
    cells = truth.long() * num_classes + predicted.long()
    return torch.bincount(cells, minlength=num_classes**2).view(num_classes, num_classes)


def accuracy(predicted: Int[Tensor, "N"], truth: Int[Tensor, "N"]) -> float:
    """The share of right predictions.

    Raises:
        ValueError: no example, or other shapes.
    """
    return float((some(of_shape("predictions", predicted, truth.shape)) == truth).double().mean())


def some(x: Tensor) -> Tensor:
    """x; a ValueError if it has no row."""
    if not len(x):
        raise ValueError("expected one example or more, got none")
    return x


def ratio(part: int, whole: int) -> float:
    """part / whole, and 0 where there is nothing to divide."""
    return part / whole if whole else 0.0
