"""Accuracy when something is done to the input: attacks, corruptions, and other groups of examples.

    robust accuracy  = 1/N sum_i min_a right_ia             an example counts when no attack a, and no restart of it, fools the model
    success rate     = P(fooled | right without the attack)
    transfer rate    = P(model B fooled | the attack fooled model A, B right without it)
    mCE              = 100 / C sum_c  (sum_s E_cs) / (sum_s E0_cs)        Hendrycks & Dietterich 2019, arXiv 1903.12261
    relative mCE     = 100 / C sum_c  (sum_s E_cs - E_clean) / (sum_s E0_cs - E0_clean)
    worst group      = min_g accuracy_g                                     Sagawa et al. 2020, arXiv 1911.08731

E errors of a model, E0 of a baseline, c corruptions, s severities. N examples, A attacks, C corruptions, S severities, G groups.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from deepcanon.layers.checks import of_shape
from deepcanon.metrics.classification import ratio, some


def robust_accuracy(right: Bool[Tensor, "A N"]) -> float:
    """The share of examples that are right under every attack; the clean prediction is one of the rows.

    Raises:
        ValueError: no attack or no example.
    """
    return float(some(some(right).all(0)).double().mean())


def attack_success_rate(right: Bool[Tensor, "N"], right_attacked: Bool[Tensor, "N"]) -> float:
    """Of the examples that are right without the attack, the share that is wrong under it.

    Raises:
        ValueError: other shapes, or no example that is right.
    """
    of_shape("outcomes under the attack", right_attacked, right.shape)
    if not right.any():
        raise ValueError("expected an example that is right without the attack, got none")
    return ratio(int((right & ~right_attacked).sum()), int(right.sum()))


def transfer_rate(fooled: Bool[Tensor, "N"], right: Bool[Tensor, "N"], right_attacked: Bool[Tensor, "N"]) -> float:
    """Of the examples that fooled one model, and that another has right, the share that fools the other as well.

    Args:
        fooled: whether the attack on the first model succeeded.
        right: whether the second model is right without the attack.
        right_attacked: whether it is right on the examples made for the first.

    Raises:
        ValueError: other shapes, or no such example.
    """
    return attack_success_rate(right & of_shape("successes", fooled, right.shape), right_attacked)


def mean_corruption_error(error: Float[Tensor, "C S"], baseline: Float[Tensor, "C S"],
                          clean: float | None = None, baseline_clean: float | None = None) -> float:
    """mCE in percent of the baseline's errors; with both errors on clean images the relative mCE.

    Raises:
        ValueError: other shapes, errors outside [0, 1], a baseline without an error, or one clean error without the other.
    """
    of_shape("errors", error, baseline.shape)
    if not all(((e >= 0) & (e <= 1)).all() for e in (error, baseline)):
        raise ValueError("expected errors as shares in [0, 1]")
    if (clean is None) != (baseline_clean is None):
        raise ValueError("expected the errors on clean images of both, model and baseline, or of neither")
    sums = [(e.double() - (c or 0.0)).sum(1) for e, c in ((error, clean), (baseline, baseline_clean))]
    if not (sums[1] > 0).all():
        none = int((sums[1] <= 0).nonzero()[0])
        raise ValueError(f"expected a baseline with errors, got none for corruption {none}")
    return float(100 * (sums[0] / sums[1]).mean())


class Groups(NamedTuple):
    """Accuracy and number of examples of each group; nan for a group without an example."""

    accuracy: Float[Tensor, "G"]
    count: Int[Tensor, "G"]

    @property
    def worst(self) -> float:
        """The lowest accuracy of a group that has an example."""
        return float(self.accuracy[self.count > 0].min())

    @property
    def overall(self) -> float:
        """The accuracy over all examples."""
        there = self.count > 0
        return float((self.accuracy[there] * self.count[there]).sum() / self.count.sum())


def group_accuracy(right: Bool[Tensor, "N"], group: Int[Tensor, "N"], num_groups: int | None = None) -> Groups:
    """Accuracy by domain, user or group.

    Raises:
        ValueError: no example, other shapes, or a group outside 0 ... G - 1.
    """
    some(of_shape("groups", group, right.shape))
    size = int(group.max()) + 1 if num_groups is None else num_groups
    if int(group.min()) < 0 or int(group.max()) >= size:
        raise ValueError(f"expected groups in 0 ... {size - 1}, got {int(group.min())} to {int(group.max())}")
    count = torch.bincount(group, minlength=size)
    hits = torch.bincount(group, weights=right.double(), minlength=size)
    return Groups(hits / count, count)
