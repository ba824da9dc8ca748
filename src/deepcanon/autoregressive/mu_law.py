"""Mu-law companding (ITU-T G.711; van den Oord et al. 2016, arXiv 1609.03499, section 2.2): few levels for a sound, finer where it is quiet.

    f(s) = sign(s) log(1 + mu |s|) / log(1 + mu),    s in [-1, 1],   mu = K - 1;    level = round((f + 1) / 2 (K - 1)) / (K - 1)

K levels in [0, 1].
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def compand(sound: Float[Tensor, "*B"], levels: int = 256) -> Float[Tensor, "*B"]:
    """The level of each value; values in [-1, 1].

    Raises:
        ValueError: a value outside.
    """
    if not sound.abs().amax() <= 1:
        raise ValueError(f"expected a sound in [-1, 1], got values up to {float(sound.abs().amax()):.3g}")
    f = sound.sign() * torch.log1p((levels - 1) * sound.abs()) / math.log(levels)
    return ((f + 1) / 2 * (levels - 1)).round() / (levels - 1)


def expand(level: Float[Tensor, "*B"], levels: int = 256) -> Float[Tensor, "*B"]:
    """The value of each level: f^-1."""
    f = 2 * level - 1
    return f.sign() * torch.expm1(f.abs() * math.log(levels)) / (levels - 1)
