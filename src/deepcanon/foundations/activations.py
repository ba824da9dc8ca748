"""Activation functions and their slopes.

    relu        max(x, 0)                       1 if x > 0 else 0           (Nair & Hinton 2010)
    leaky_relu  max(x, k x), 0 < k < 1          1 if x > 0 else k           (Maas et al. 2013)
    sigmoid     s(x) = 1 / (1 + e^-x)           s (1 - s) <= 1/4            in (0, 1): a gate
    tanh        2 s(2 x) - 1                    1 - tanh^2                  in (-1, 1), zero-centred
    softplus    log(1 + e^x)                    s                           smooth relu (Dugas et al. 2000)
    gelu        x Phi(x)                        Phi + x phi                 Phi, phi the standard normal's (Hendrycks & Gimpel 2016, arXiv 1606.08415)

sigmoid and tanh saturate: their slopes vanish as |x| grows. All but gelu rise monotonically, so a gradient passes them without changing sign.
They equal torch's own, which are faster; these are to be read, and to be differentiated by hand.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

X = Float[Tensor, "*X"]


def relu(x: X) -> X:
    """max(x, 0); the slope at 0 is 0."""
    return torch.where(x <= 0, 0, x)


def relu_slope(x: X) -> X:
    """0 or 1."""
    return (x > 0).to(x)


def leaky_relu(x: X, k: float = 0.1) -> X:
    """max(x, k x)."""
    if not 0 < k < 1:
        raise ValueError(f"expected a slope 0 < k < 1 below zero, got {k}")
    return torch.where(x > 0, x, k * x)


def leaky_relu_slope(x: X, k: float = 0.1) -> X:
    """k or 1: no unit is ever dead."""
    return torch.where(x > 0, 1.0, k).to(x)


def sigmoid(x: X) -> X:
    """1 / (1 + e^-x), without overflow: exp(-log(e^0 + e^-x))."""
    return torch.exp(-torch.logaddexp(torch.zeros_like(x), -x))


def sigmoid_slope(x: X) -> X:
    """s (1 - s)."""
    return sigmoid(x) * sigmoid(-x)


def tanh(x: X) -> X:
    """(e^x - e^-x) / (e^x + e^-x) = 2 s(2 x) - 1."""
    return 2 * sigmoid(2 * x) - 1


def tanh_slope(x: X) -> X:
    """1 - tanh^2."""
    return 1 - tanh(x).square()


def softplus(x: X) -> X:
    """log(1 + e^x)."""
    return torch.logaddexp(torch.zeros_like(x), x)


def softplus_slope(x: X) -> X:
    """s."""
    return sigmoid(x)


def gelu(x: X) -> X:
    """x Phi(x)."""
    return x * normal_cdf(x)


def gelu_slope(x: X) -> X:
    """Phi + x phi."""
    return normal_cdf(x) + x * (-x.square() / 2).exp() / math.sqrt(2 * math.pi)


def normal_cdf(x: X) -> X:
    """Phi(x) = P(N(0, 1) <= x)."""
    return (1 + torch.erf(x / math.sqrt(2))) / 2
