"""Held-out likelihood in the units in which densities are compared (Theis et al. 2016, arXiv 1511.01844).

    bits per dimension = -log2 p(x) / D        of a probability of values on L levels
                       = -log2 p(x) / D + log2 L        of a density of values v / L + u / L in [0, 1], u ~ U[0, 1]

A density on [0, 1] counts for 1 / L of itself on each level's interval, so both bound what a code for the levels needs; uniform levels need log2 L.
B batch, D values of a data point.
"""

import math

from jaxtyping import Float
from torch import Tensor


def bits_per_dim(log_prob: Float[Tensor, "*B"], dims: int, levels: int = 1) -> Float[Tensor, "*B"]:
    """From log p(x) in nats; `levels` is L for a density of dequantised values on [0, 1], 1 for a probability.

    Raises:
        ValueError: fewer dimensions or levels than one.
    """
    if dims < 1 or levels < 1:
        raise ValueError(f"expected one dimension and one level or more, got {dims} and {levels}")
    return -log_prob / (dims * math.log(2)) + math.log2(levels)
