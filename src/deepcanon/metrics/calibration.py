"""Whether probabilities are frequencies: the reliability diagram and the expected calibration error (Naeini et al. 2015;
Guo et al. 2017, arXiv 1706.04599).

    acc_b, conf_b = mean of [right], of the confidence, of the N_b examples with (b - 1) / B < confidence <= b / B
    ECE = sum_b N_b / N |acc_b - conf_b|,      MCE = max_b |acc_b - conf_b|
    Brier = mean sum_k (p_k - [y = k])^2                                                        Brier 1950

Of a perfectly calibrated classifier the measured ECE is not 0 but falls as N^-1/2. N examples, K classes, B bins.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from deepcanon.layers.checks import of_shape
from deepcanon.metrics.classification import some


class Reliability(NamedTuple):
    """Accuracy, confidence and number of examples of each bin; 0 in a bin without one."""

    accuracy: Float[Tensor, "B"]
    confidence: Float[Tensor, "B"]
    count: Int[Tensor, "B"]

    @property
    def gap(self) -> Float[Tensor, "B"]:
        """How far accuracy and confidence are apart."""
        return (self.accuracy - self.confidence).abs()

    @property
    def ece(self) -> float:
        """The mean gap over the examples."""
        return float((self.count / self.count.sum() * self.gap).sum())

    @property
    def mce(self) -> float:
        """The largest gap."""
        return float(self.gap.max())


def reliability(confidence: Float[Tensor, "N"], right: Bool[Tensor, "N"], bins: int = 15) -> Reliability:
    """The reliability diagram of predictions with these confidences.

    Raises:
        ValueError: no example, other shapes, no bin, or confidences outside [0, 1].
    """
    some(of_shape("confidences", confidence, right.shape))
    if bins < 1:
        raise ValueError(f"expected one bin or more, got {bins}")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        low, high = float(confidence.min()), float(confidence.max())
        raise ValueError(f"expected confidences in [0, 1], got values from {low} to {high}")
    edges = torch.linspace(0, 1, bins + 1, dtype=confidence.dtype, device=confidence.device)
    bin_of = torch.bucketize(confidence, edges[1:-1])                            # (b - 1) / B < confidence <= b / B
    count = torch.bincount(bin_of, minlength=bins)
    each = count.clamp(min=1).double()
    means = [torch.zeros_like(each).index_add_(0, bin_of, values.double()) / each for values in (right, confidence)]
    return Reliability(means[0], means[1], count)


def expected_calibration_error(p: Float[Tensor, "N K"], y: Int[Tensor, "N"], bins: int = 15) -> float:
    """The ECE of class probabilities: of the most probable class, beside how often it is the right one.

    Raises:
        ValueError: as `reliability`, or rows that do not sum to 1.
    """
    confidence, predicted = probabilities(p).max(1)
    return reliability(confidence, predicted == of_shape("labels", y, predicted.shape), bins).ece


def brier_score(p: Float[Tensor, "N K"], y: Int[Tensor, "N"]) -> float:
    """The mean squared distance of the probabilities from the truth, between 0 and 2.

    Raises:
        ValueError: rows that do not sum to 1, other shapes, or a label outside the classes.
    """
    of_shape("labels", y, probabilities(p).shape[:1])
    if int(y.min()) < 0 or int(y.max()) >= p.shape[1]:
        low, high = int(y.min()), int(y.max())
        raise ValueError(f"expected labels in 0 ... {p.shape[1] - 1}, got labels from {low} to {high}")
    truth = torch.nn.functional.one_hot(y.long(), p.shape[1]).double()
    return float((p.double() - truth).square().sum(1).mean())


def probabilities(p: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
    """p.

    Raises:
        ValueError: no row, negative or nan values, or rows that do not sum to 1: logits, perhaps.
    """
    if not (some(p) >= 0).all() or ((p.double().sum(1) - 1).abs() > 1e-2).any():
        raise ValueError("expected probabilities (N, K) whose rows sum to 1; of logits take the softmax first")
    return p
