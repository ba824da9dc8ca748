"""Improved precision and recall of a generator (Kynkaanniemi et al. 2019, arXiv 1904.06991).

    precision = share of generated points inside the manifold of the data,    recall = share of data points inside that of the generated

The manifold of a set is the union of balls around its points, each as wide as the distance to the point's k-th nearest neighbour in the set.
Low precision: images that are like no data. Low recall: data that no image is like.
N and M points, F features.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepcanon.metrics.generation import comparable

BLOCK = 1_024


class PrecisionRecall(NamedTuple):
    """Both between 0 and 1, higher is better."""

    precision: Float[Tensor, ""]
    recall: Float[Tensor, ""]


def precision_recall(features: Float[Tensor, "N F"], reference: Float[Tensor, "M F"], k: int = 3) -> PrecisionRecall:
    """Of generated points beside those of the data; the paper takes 50,000 of each and k = 3.

    Raises:
        ValueError: matrices of k rows or fewer or of different columns, nan or inf among the features, or k below 1.
    """
    for x in (features, reference):
        if x.ndim != 2 or not 1 <= k < len(x):
            raise ValueError(f"expected features (N, F) of more than k = {k} >= 1 examples, got {tuple(x.shape)}")
    features, reference = comparable(features, reference)
    return PrecisionRecall(inside(features, reference, k).double().mean(), inside(reference, features, k).double().mean())


def inside(x: Float[Tensor, "N F"], points: Float[Tensor, "M F"], k: int) -> Bool[Tensor, "N"]:
    """Which rows of x lie in the manifold of the points."""
    radius = torch.cat([distances(rows, points).kthvalue(k + 1).values for rows in points.split(BLOCK)])      # the point itself is the first
    return torch.cat([(distances(rows, points) <= radius).any(1) for rows in x.split(BLOCK)])


def distances(x: Float[Tensor, "N F"], y: Float[Tensor, "M F"]) -> Float[Tensor, "N M"]:
    """||x - y||, by differences: equal points are at distance 0."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
