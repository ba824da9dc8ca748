"""Arithmetic that the flows share.

    log N(z; 0, I) = -(|z|^2 + D log 2 pi) / 2,        bits/dim = -log_2 P(x) / D

B batch, D shape of a data point, C channels (of a vector: its numbers).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def standard_normal(z: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
    """log N(z; 0, I) in nats, summed over all dimensions but the first."""
    z = z.flatten(1)
    return -0.5 * z.square().sum(1) - 0.5 * math.log(2 * math.pi) * z.shape[1]


def unchanged(x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
    """log|det| = 0: volumes stay as they are."""
    return x.new_zeros(len(x))


def bounded(s: Float[Tensor, "*D"], bound: float) -> Float[Tensor, "*D"]:
    """s, bent so that it stays in (-bound, bound): exp(s) cannot overflow. An infinite bound leaves it as it is."""
    return s if bound == math.inf else bound * torch.tanh(s / bound)


def soft_clipped(s: Float[Tensor, "*D"], bound: float) -> Float[Tensor, "*D"]:
    """s / (1 + |s / bound|), in (-bound, bound) as well: it bends earlier than `bounded`, and its slope falls more slowly."""
    return s if bound == math.inf else s / (1 + (s / bound).abs())


def halves(x: Float[Tensor, "B C *D"], swap: bool) -> tuple[Float[Tensor, "B C1 *D"], Float[Tensor, "B C2 *D"]]:
    """The half that a coupling keeps, the first one unless swapped, and the half that it changes."""
    a, b = x.tensor_split(2, 1)
    return (b, a) if swap else (a, b)


def joined(kept: Float[Tensor, "B C1 *D"], changed: Float[Tensor, "B C2 *D"], swap: bool) -> Float[Tensor, "B C *D"]:
    """The inverse of `halves`."""
    return torch.cat([changed, kept] if swap else [kept, changed], 1)


def half_sizes(channels: int, swap: bool) -> tuple[int, int]:
    """How many channels `halves` keeps and changes."""
    if channels < 2:
        raise ValueError(f"a coupling needs 2 channels or more to keep one half and change the other, got {channels}")
    first, second = channels - channels // 2, channels // 2
    return (second, first) if swap else (first, second)
