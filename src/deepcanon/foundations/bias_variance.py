"""Bias-variance decomposition (Geman, Bienenstock & Doursat 1992, "Neural networks and the bias/variance dilemma").

    E_D||f_D(x) - f(x)||^2  =  E_D||f_D(x) - E_D f_D(x)||^2  +  ||E_D f_D(x) - f(x)||^2
           error            =           variance             +          bias^2

f_D is what was learned from the data set D, f the truth. The cross term, 2 <E_D[f_D - E_D f_D], E_D f_D - f>, is zero because its first factor is.
High variance: over-fitted, the f_D differ; high bias: under-fitted, they agree on something wrong.
K data sets, N test points.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Decomposition(NamedTuple):
    """Means over the test points; error = variance + bias2."""

    error: Tensor
    variance: Tensor
    bias2: Tensor


def decompose(predictions: Float[Tensor, "K *N"], truth: Float[Tensor, "*N"]) -> Decomposition:
    """The three terms from what K independently trained models say at the same points.

    Raises:
        ValueError: fewer than two models, or predictions and truth at different points.
    """
    if len(predictions) < 2 or predictions.shape[1:] != truth.shape:
        raise ValueError(f"expected predictions (K, ...) of two models or more at the points of the truth, (...), "
                         f"got {tuple(predictions.shape)} and {tuple(truth.shape)}")
    mean = predictions.mean(0)
    return Decomposition((predictions - truth).square().mean(), (predictions - mean).square().mean(), (mean - truth).square().mean())
