"""Sparse codes: of many units few are on.

    L1          penalty = lam sum_i |h_i|                                        Olshausen & Field 1996, Nature 381
    lifetime    each unit keeps its ceil(s B) largest activations of a batch     Makhzani & Frey 2015, arXiv 1409.2752
    k-sparse    each example keeps its k largest activations                     Makhzani & Frey 2014, arXiv 1312.5663
    prior       h_i = b_i v_i,    b_i ~ Bernoulli(p), the spike,    v_i ~ N(0, sigma^2), the slab        Mitchell & Beauchamp 1988

An L1 penalty could be had for nothing by small codes and large weights, so a dictionary's atoms have length one.
B batch, U units, D features.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.joint import batch_rows


def l1(weight: float) -> Callable[[Tensor], Tensor]:
    """The penalty lam sum_i |h_i|, in the mean over the examples."""
    return partial(absolute, weight=weight)


def absolute(h: Float[Tensor, "B ..."], *, weight: float) -> Float[Tensor, ""]:
    """lam E[sum_i |h_i|]."""
    return weight * h.abs().flatten(1).sum(1).mean()


class Lifetime(nn.Module):
    """Of each unit, the largest share of a training batch; in use, all.

    Args:
        share: s, of the examples that a unit is on for.

    Raises:
        ValueError: a share outside (0, 1].
    """

    def __init__(self, share: float):
        super().__init__()
        if not 0 < share <= 1:
            raise ValueError(f"expected a share of the batch in (0, 1], got {share}")
        self.share = share

    def forward(self, h: Float[Tensor, "B U"]) -> Float[Tensor, "B U"]:
        if not self.training:
            return h
        rows, own = batch_rows(h)                                                # (N, U), of the whole batch
        return largest(rows, math.ceil(self.share * len(rows)), 0)[own]


class KSparse(nn.Module):
    """Of each example, the k largest activations.

    Args:
        k: units that stay on.

    Raises:
        ValueError: k below 1.
    """

    def __init__(self, k: int):
        super().__init__()
        if k < 1:
            raise ValueError(f"expected one unit or more to stay on, got k={k}")
        self.k = k

    def forward(self, h: Float[Tensor, "B U"]) -> Float[Tensor, "B U"]:
        return largest(h, self.k, 1)


class Dictionary(nn.Module):
    """A linear decoder x = b + sum_i h_i a_i / ||a_i||.

    Args:
        num_atoms: U.
        dim: D.
    """

    def __init__(self, num_atoms: int, dim: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(num_atoms, dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, h: Float[Tensor, "B U"]) -> Float[Tensor, "B D"]:
        return h @ self.atoms() + self.bias

    def atoms(self) -> Float[Tensor, "U D"]:
        """The atoms, of length one."""
        return F.normalize(self.weight, dim=1)


def spike_and_slab(shape: tuple[int, ...], p: float, sigma: float = 1.0, *, like: Tensor | None = None) -> Float[Tensor, "..."]:
    """Draws of the prior, on the device of `like`: a share 1 - p of them is 0.

    Raises:
        ValueError: p outside [0, 1].
    """
    if not 0 <= p <= 1:
        raise ValueError(f"expected a probability in [0, 1], got {p}")
    slab = (torch.empty(0) if like is None else like).new_empty(shape).normal_(std=sigma)
    return slab * (torch.rand_like(slab) < p)


def largest(h: Float[Tensor, "B U"], k: int, dim: int) -> Float[Tensor, "B U"]:
    """h with all but its k largest entries along `dim` set to 0."""
    kept = h.topk(min(k, h.shape[dim]), dim).indices
    return h * torch.zeros_like(h).scatter(dim, kept, 1.0)
