"""Entropy (Shannon 1948), Kullback-Leibler divergence (Kullback & Leibler 1951) and Jensen-Shannon divergence (Lin 1991).

    H(p)      = -E_p[log p]
    KL(q||p)  = E_q[log q - log p] = -E_q[log p] - H(q)  >= 0,    0 iff q = p;  not symmetric; infinite where q > 0 = p
    JSD(p,q)  = KL(p||m) / 2 + KL(q||m) / 2,  m = (p + q) / 2,    symmetric, from 0 to log 2 (disjoint supports)

0 log 0 = 0. All in nats.
K outcomes.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def entropy(p: Float[Tensor, "*B K"]) -> Float[Tensor, "*B"]:
    """H(p) of a discrete distribution; log K for the uniform one, which has the most.

    Raises:
        ValueError: negative numbers, or numbers that do not sum to 1.
    """
    check(p)
    return -torch.xlogy(p, p).sum(-1)


def kl(q: Float[Tensor, "*B K"], p: Float[Tensor, "*B K"]) -> Float[Tensor, "*B"]:
    """KL(q||p) of discrete distributions. Raises ValueError as `entropy`, and for two shapes."""
    check(q, p)
    return (torch.xlogy(q, q) - torch.xlogy(q, p)).sum(-1).clamp(min=0)          # rounding ends below 0


def jsd(p: Float[Tensor, "*B K"], q: Float[Tensor, "*B K"]) -> Float[Tensor, "*B"]:
    """Jensen-Shannon divergence of discrete distributions; its square root is a distance. Raises ValueError as `kl`."""
    check(p, q)
    m = (p + q) / 2
    return (kl(p, m) + kl(q, m)) / 2


def gaussian_entropy(sigma: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """H(N(mu, sigma^2)) = log(2 pi e sigma^2) / 2: the wider, the more. Raises ValueError for a sigma that is not positive."""
    check_positive(sigma)
    return (2 * math.pi * math.e * sigma.square()).log() / 2


def gaussian_kl(mean_q: Float[Tensor, "*B"], sigma_q: Float[Tensor, "*B"], mean_p: Float[Tensor, "*B"], sigma_p: Float[Tensor, "*B"]
                ) -> Float[Tensor, "*B"]:
    """KL(N(mean_q, sigma_q^2) || N(mean_p, sigma_p^2)) = log(s_p / s_q) + (s_q^2 + (m_q - m_p)^2) / (2 s_p^2) - 1/2.

    Raises:
        ValueError: a sigma that is not positive.
    """
    check_positive(sigma_q, sigma_p)
    return (sigma_p / sigma_q).log() + (sigma_q.square() + (mean_q - mean_p).square()) / (2 * sigma_p.square()) - 0.5


def check(*distributions: Tensor) -> None:
    """Refuse what is not one distribution, or two over the same outcomes, along the last dimension."""
    if len({p.shape for p in distributions}) > 1:
        raise ValueError(f"expected distributions of one shape, got {' and '.join(str(tuple(p.shape)) for p in distributions)}")
    for p in distributions:
        total = p.sum(-1)
        if (p < 0).any() or not torch.allclose(total, torch.ones_like(total), atol=1e-5):
            raise ValueError(f"expected probabilities that are not negative and sum to 1, got sums from {total.min():g} to {total.max():g} "
                             f"and a least value of {p.min():g}")


def check_positive(*sigmas: Tensor) -> None:
    """Refuse a standard deviation that is none."""
    for sigma in sigmas:
        if not (sigma > 0).all():
            raise ValueError(f"expected positive standard deviations, got {sigma.min():g}")
