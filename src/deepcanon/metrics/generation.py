"""How close generated images are to real ones: Frechet inception distance (Heusel et al. 2017, arXiv 1706.08500) and class balance.

    FID = ||mu_p - mu_q||^2 + tr(S_p + S_q - 2 (S_p S_q)^{1/2})

mu and S are the mean and covariance of an image network's features over a set of images; the distance is the squared 2-Wasserstein distance of the
two Gaussians. Since tr (S_p S_q)^{1/2} = tr (R S_q R)^{1/2} with R = S_p^{1/2}, two symmetric eigenproblems give it, all in float64.
N images, F features, K classes.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from deepcanon.layers.checks import classes, finite


class Gaussian(NamedTuple):
    """Mean (F,) and covariance (F, F)."""

    mean: Tensor
    covariance: Tensor


def fit_gaussian(features: Float[Tensor, "N F"]) -> Gaussian:
    """Mean and unbiased covariance in float64.

    Raises:
        ValueError: not a matrix of two rows or more, nan or inf among the features.
    """
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"expected features (N, F) of two examples or more, got {tuple(features.shape)}")
    x = finite(features).double()
    return Gaussian(x.mean(0), torch.atleast_2d(x.T.cov()))


def frechet_distance(p: Gaussian, q: Gaussian) -> Float[Tensor, ""]:
    """Squared 2-Wasserstein distance of two Gaussians, in squared units of the features.

    Raises:
        ValueError: Gaussians of different numbers of features.
    """
    if p.mean.shape != q.mean.shape:
        raise ValueError(f"expected as many features on both sides, got {len(p.mean)} and {len(q.mean)}")
    values, vectors = torch.linalg.eigh(p.covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T                      # S_p^{1/2}
    overlap = torch.linalg.eigvalsh(root @ q.covariance @ root).clamp(min=0).sqrt().sum()
    distance = (p.mean - q.mean).square().sum() + p.covariance.trace() + q.covariance.trace() - 2 * overlap
    return distance.clamp(min=0)                                                 # rounding ends below 0


def fid(features: Float[Tensor, "N F"], reference: Float[Tensor, "M F"]) -> Float[Tensor, ""]:
    """Frechet distance between the Gaussians fitted to two sets of features, 0 for equal sets."""
    return frechet_distance(fit_gaussian(features), fit_gaussian(reference))


def comparable(x: Float[Tensor, "N F"], y: Float[Tensor, "M G"]) -> tuple[Float[Tensor, "N F"], Float[Tensor, "M F"]]:
    """Two sets of features, in float64.

    Raises:
        ValueError: not matrices of as many columns, nan or inf among the features.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"expected features (N, F) and (M, F), got {tuple(x.shape)} and {tuple(y.shape)}")
    return finite(x).double(), finite(y).double()


def class_shares(labels: Int[Tensor, "N"], num_classes: int) -> Float[Tensor, "K"]:
    """The share of each class among the labels, summing to 1.

    Raises:
        ValueError: labels outside 0 ... K - 1.
    """
    return torch.bincount(classes(labels, num_classes), minlength=num_classes) / len(labels)
