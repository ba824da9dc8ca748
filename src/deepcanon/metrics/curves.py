"""How a result grows with what is spent, and how sure a mean over episodes is.

    L(x) = a x^-b,    log L = log a - b log x        least squares in logarithms (Hestness et al. 2017, arXiv 1712.00409)
    R^2 = 1 - sum_i (log L_i - log a + b log x_i)^2 / sum_i (log L_i - mean log L)^2
    mean +- 1.96 s / sqrt(E)                         over E episodes (Vinyals et al. 2016, arXiv 1606.04080)
"""

import math
from typing import NamedTuple

from jaxtyping import Float, Real
from torch import Tensor


class PowerLaw(NamedTuple):
    """L(x) = scale * x^-exponent, and how much of the variance of log L it explains."""

    scale: float
    exponent: float
    r_squared: float

    def __call__(self, x: float) -> float:
        return self.scale * x**-self.exponent


def fit_power_law(x: Real[Tensor, "N"], loss: Real[Tensor, "N"]) -> PowerLaw:
    """The power law of a loss in data, parameters or compute.

    Raises:
        ValueError: other shapes, values that are not above 0, or fewer than two different x.
    """
    if x.shape != loss.shape or not ((x > 0) & (loss > 0)).all() or len(x.unique()) < 2:
        raise ValueError("expected two different x or more, and a loss for each, all above 0, "
                         f"got {x.tolist()} and {loss.tolist()}")
    u, v = x.double().log(), loss.double().log()
    du, dv = u - u.mean(), v - v.mean()
    slope = float((du * dv).sum() / du.square().sum())
    left, spread = float((dv - slope * du).square().sum()), float(dv.square().sum())
    return PowerLaw(math.exp(float(v.mean() - slope * u.mean())), -slope, 1 - left / spread if spread else 1.0)


def first_reaching(x: Real[Tensor, "N"], score: Real[Tensor, "N"], goal: float) -> float | None:
    """Sample efficiency: the least x at which a score reaches `goal`, between the measured ones by a straight line;
    None if it does not.

    Raises:
        ValueError: other shapes, or x that does not rise.
    """
    if x.shape != score.shape or not len(x) or not (x.diff() > 0).all():
        raise ValueError(f"expected rising x, and a score for each, got {x.tolist()} and {score.tolist()}")
    reached = (score >= goal).nonzero()
    if not len(reached):
        return None
    i = int(reached[0])
    if i == 0:
        return float(x[0])
    (x0, x1), (s0, s1) = x[i - 1 : i + 1].tolist(), score[i - 1 : i + 1].tolist()
    return x0 + (goal - s0) / (s1 - s0) * (x1 - x0)


class MeanAndInterval(NamedTuple):
    """A mean, and half the width of its 95 % interval."""

    mean: float
    half_width: float


def over_episodes(values: Float[Tensor, "E"]) -> MeanAndInterval:
    """The mean accuracy over few-shot episodes with its 95 % interval; s is the deviation of the sample.

    Raises:
        ValueError: fewer than two episodes.
    """
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"expected the accuracies of two episodes or more, got {tuple(values.shape)}")
    v = values.double()
    return MeanAndInterval(float(v.mean()), 1.96 * float(v.std()) / math.sqrt(len(v)))
