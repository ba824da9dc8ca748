"""Denoising autoencoders (Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders"): what is done to the data.

    r = argmin E||x - r(c(x))||^2 = E[x | c(x)]

    Gaussian data of covariance S, noise s^2 I:    r(y) = m + S (S + s^2 I)^-1 (y - m), the Wiener filter
    any data, Gaussian noise:                      (r(y) - y) / s^2 = grad log p_s(y), the score of the noisy data

The last is Tweedie's formula (Robbins 1956; Vincent 2011, "A connection between score matching and denoising autoencoders").
The corruptions c are arguments of `Autoencoder` and `VAE`. B batch, D shape of a data point.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

Corruption = Callable[[Tensor], Tensor]


def gaussian_noise(sigma: float) -> Corruption:
    """x + sigma e, e ~ N(0, I).

    Raises:
        ValueError: a sigma that is not above 0.
    """
    if not sigma > 0:
        raise ValueError(f"expected noise of a deviation above 0, got {sigma}")
    return partial(noisy, sigma=sigma)


def masking(p: float) -> Corruption:
    """Each value set to 0 with probability p.

    Raises:
        ValueError: p outside (0, 1).
    """
    if not 0 < p < 1:
        raise ValueError(f"expected a probability between 0 and 1, got {p}")
    return partial(masked, p=p)


def noisy(x: Float[Tensor, "B *D"], *, sigma: float) -> Float[Tensor, "B *D"]:
    """x + sigma e at one draw of e."""
    return x + sigma * torch.randn_like(x)


def masked(x: Float[Tensor, "B *D"], *, p: float) -> Float[Tensor, "B *D"]:
    """x with one draw of the values set to 0."""
    return x * (torch.rand_like(x) >= p)


def score(reconstruct: Callable[[Tensor], Tensor], x: Float[Tensor, "B *D"], sigma: float) -> Float[Tensor, "B *D"]:
    """grad log p_sigma(x), from a reconstruction trained under Gaussian noise of deviation sigma."""
    return (reconstruct(x) - x) / sigma**2
