"""What a classifier says of generated images: inception score (Salimans et al. 2016, arXiv 1606.03498) and modes found.

    IS     = exp(E_x KL(p(y|x) || p(y))),    p(y) = E_x p(y|x);    1 for one answer to everything, K for K sure answers, each as often
    modes  = how many classes are among the verdicts, KL = sum_k s_k log(s_k / r_k) from the shares r of the data (Metz et al. 2017, arXiv 1611.02163)

N images, K classes.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from deepcanon.metrics.generation import class_shares


class Modes(NamedTuple):
    """How many classes were found, and the divergence (nats) of their shares from those of the data."""

    found: Int[Tensor, ""]
    divergence: Float[Tensor, ""]


def inception_score(logits: Float[Tensor, "N K"]) -> Float[Tensor, ""]:
    """Between 1 and K, higher is better: every image is of one class, and all classes occur.

    Raises:
        ValueError: not a matrix of one row or more.
    """
    if logits.ndim != 2 or not len(logits):
        raise ValueError(f"expected logits (N, K) of one image or more, got {tuple(logits.shape)}")
    log_p = logits.double().log_softmax(1)
    log_marginal = log_p.logsumexp(0, keepdim=True) - torch.tensor(len(logits)).to(log_p).log()
    p = log_p.exp()
    return (torch.xlogy(p, p) - p.where(p == 0, p * log_marginal)).sum(1).mean().exp()


def mode_coverage(labels: Int[Tensor, "N"], reference: Float[Tensor, "K"]) -> Modes:
    """Of the labels given to generated images, beside the shares (positive, summing to 1) of the classes among the data.

    Raises:
        ValueError: shares that are not positive or do not sum to 1, labels outside 0 ... K - 1.
    """
    if not (reference > 0).all() or (reference.sum() - 1).abs() > 1e-4:
        raise ValueError(f"expected positive shares that sum to 1, got {[round(share, 4) for share in reference.tolist()]}")
    shares = class_shares(labels, len(reference)).to(reference)
    return Modes((shares > 0).sum(), torch.special.xlogy(shares, shares / reference).sum())
