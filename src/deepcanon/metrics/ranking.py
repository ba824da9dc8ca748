"""How well scores tell positive examples from negative ones, at every threshold (Davis & Goadrich 2006).

    TPR(t) = P(s >= t | positive),    FPR(t) = P(s >= t | negative),    precision(t) = P(positive | s >= t)
    AUROC = P(s+ > s-) + P(s+ = s-) / 2,      average precision = sum_t (recall_t - recall_{t-1}) precision_t
    FPR at 95 % TPR: of negatives, the share that passes a threshold which 95 % of the positives pass

`positive` says which examples are the positive class, and a higher score must speak for it: with the classes or the sign
turned round the numbers are others. Chance is 1/2 for AUROC and the share of positives for the average precision.
N examples, T distinct thresholds.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor

from deepcanon.layers.checks import of_shape


class Curve(NamedTuple):
    """Rates at the thresholds, from the highest score to the lowest, in float64."""

    threshold: Float[Tensor, "T"]
    true_positive_rate: Float[Tensor, "T"]
    false_positive_rate: Float[Tensor, "T"]
    precision: Float[Tensor, "T"]


def roc_curve(score: Real[Tensor, "N"], positive: Bool[Tensor, "N"]) -> Curve:
    """The rates when everything of a score of `threshold` or more is called positive; examples of equal score go together.

    Raises:
        ValueError: other shapes, scores that are nan, or one of the classes missing.
    """
    score = checked(score, positive)
    order = score.argsort(descending=True, stable=True)
    s, p = score[order], positive[order].double()
    last = torch.cat([s[1:] != s[:-1], torch.ones(1, dtype=torch.bool, device=s.device)])  # of each group of ties
    tp, n = p.cumsum(0)[last], torch.arange(1, len(s) + 1, device=s.device, dtype=torch.float64)[last]
    return Curve(s[last].double(), tp / tp[-1], (n - tp) / (n[-1] - tp[-1]), tp / n)


def auroc(score: Real[Tensor, "N"], positive: Bool[Tensor, "N"]) -> float:
    """The probability that a positive example scores above a negative one, ties by half.

    Raises:
        ValueError: as `roc_curve`.
    """
    curve = roc_curve(score, positive)
    start = curve.threshold.new_zeros(1)
    tpr, fpr = (torch.cat([start, rate]) for rate in (curve.true_positive_rate, curve.false_positive_rate))
    return float(torch.trapezoid(tpr, fpr))


def average_precision(score: Real[Tensor, "N"], positive: Bool[Tensor, "N"]) -> float:
    """The area under precision over recall, as a sum of steps.

    Raises:
        ValueError: as `roc_curve`.
    """
    curve = roc_curve(score, positive)
    steps = curve.true_positive_rate.diff(prepend=curve.threshold.new_zeros(1))
    return float((steps * curve.precision).sum())


def fpr_at_tpr(score: Real[Tensor, "N"], positive: Bool[Tensor, "N"], tpr: float = 0.95) -> float:
    """The false-positive rate at the highest threshold that keeps a share `tpr` of the positives.

    Raises:
        ValueError: as `roc_curve`, or a share outside (0, 1].
    """
    if not 0 < tpr <= 1:
        raise ValueError(f"expected a true-positive rate in (0, 1], got {tpr}")
    curve = roc_curve(score, positive)
    return float(curve.false_positive_rate[curve.true_positive_rate >= tpr - 1e-12][0])


def checked(score: Tensor, positive: Tensor) -> Tensor:
    """The scores.

    Raises:
        ValueError: other shapes, scores that are nan, or one of the classes missing.
    """
    of_shape("scores", score, positive.shape)
    if score.isnan().any():
        raise ValueError(f"expected scores, got {int(score.isnan().sum())} of {len(score)} that are nan")
    if positive.all() or not positive.any():
        found = f"{int(positive.sum())} positive of {len(positive)}"
        raise ValueError(f"expected positive and negative examples, got {found}")
    return score
