"""How well objects are found by their masks, in one image.

    IoU_ij = |A_i and B_j| / |A_i or B_j|                   A_i predicted, B_j true objects
    TP(t)  = #{j: IoU_ij > t for some i}                    for t >= 1/2 each i and each j at most once: masks of one
                                                            image do not overlap, so two cannot both cover over half
    precision(t) = TP / (TP + FP + FN),                     the mean over t = 0.5, 0.55, ..., 0.95

as in the 2018 Data Science Bowl (Caicedo et al. 2019, Nature Methods 16). Where nothing is and nothing is found it is 1.
A map of objects holds 0 for the background and each object's own number. N predicted, M true objects.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from deepcanon.layers.checks import of_shape

THRESHOLDS = tuple(0.5 + 0.05 * i for i in range(10))


def mask_iou(predicted: Int[Tensor, "H W"], truth: Int[Tensor, "H W"]) -> Float[Tensor, "N M"]:
    """IoU of every predicted with every true object, both in the order of their numbers.

    Raises:
        ValueError: maps of different shapes, or numbers below 0.
    """
    of_shape("a map of objects", predicted, truth.shape)
    if predicted.numel() and min(int(predicted.min()), int(truth.min())) < 0:
        raise ValueError("expected numbers of objects of 0 or more, got "
                         f"{min(int(predicted.min()), int(truth.min()))}")
    (a, i), (b, j) = (t.flatten().unique(return_inverse=True) for t in (predicted, truth))
    both = torch.bincount(i * len(b) + j, minlength=len(a) * len(b)).view(len(a), len(b)).double()
    iou = both / (both.sum(1, keepdim=True) + both.sum(0) - both)
    return iou[a > 0][:, b > 0]


def precision_at(iou: Float[Tensor, "N M"], threshold: float) -> float:
    """TP / (TP + FP + FN) of one image at an IoU threshold of 0.5 or more."""
    if not 0.5 <= threshold < 1:
        raise ValueError(f"expected a threshold in [0.5, 1), got {threshold}")
    found = int((iou > threshold).sum())
    every = iou.shape[0] + iou.shape[1] - found
    return found / every if every else 1.0


def mean_precision(predicted: Int[Tensor, "H W"], truth: Int[Tensor, "H W"],
                   thresholds: Sequence[float] = THRESHOLDS) -> float:
    """The mean of `precision_at` over thresholds, of one image."""
    iou = mask_iou(predicted, truth)
    return sum(precision_at(iou, t) for t in thresholds) / len(thresholds)
