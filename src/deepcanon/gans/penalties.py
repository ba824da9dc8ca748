"""Gradient penalties, which keep a discriminator smooth where data and generated points are.

    towards_one:     lam E[(||grad_u D(u)|| - 1)^2]                                      Gulrajani et al. 2017, arXiv 1704.00028
    zero_centred:    gamma / 2 (E_x[||grad_x D(x)||^2] + E_x'[||grad_x' D(x')||^2])      R1 and R2: Mescheder et al. 2018, arXiv 1801.04406

x are data, x' generated points, u points of the segments between them. With the relativistic objective, R1 and R2 are R3GAN's loss (Huang et al.
2024, arXiv 2501.05441): the game converges near its equilibrium, where without them it circles.
B batch, D shape of a data point.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

Score = Callable[[Tensor], Tensor]                          # D: (B, *D) -> (B, 1) or (B,)
Penalty = Callable[[Score, Tensor, Tensor], Tensor]         # (D, x, x') -> (), differentiable in D


def gradients(score: Score, u: Float[Tensor, "B *D"]) -> Float[Tensor, "B N"]:
    """grad_u D(u) as one row an example, differentiable in D."""
    u = u.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(score(u).sum(), u, create_graph=True)
    return gradient.flatten(1)


def between(x: Float[Tensor, "B *D"], fake: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
    """A uniformly random point of the segment from each x to its fake, where the paper measures the slope."""
    t = torch.rand(len(x), *[1] * (x.ndim - 1), dtype=x.dtype, device=x.device)
    return t * x + (1 - t) * fake


def at_data(x: Float[Tensor, "B *D"], fake: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
    """The data points themselves: a slope of one is asked for on the data only."""
    return x


def off_one(score: Score, u: Float[Tensor, "B *D"]) -> Float[Tensor, ""]:
    """E[(||grad_u D(u)|| - 1)^2]."""
    return (gradients(score, u).norm(dim=1) - 1).square().mean()


def towards_one(lam: float = 10.0, where: Callable[[Tensor, Tensor], Tensor] = between) -> Penalty:
    """The slope is held at one `between` data and fakes, or `at_data`."""
    return partial(slope_off_one, lam=lam, where=where)


def slope_off_one(score: Score, x: Float[Tensor, "B *D"], fake: Float[Tensor, "B *D"], *, lam: float,
                  where: Callable[[Tensor, Tensor], Tensor]) -> Float[Tensor, ""]:
    """lam E[(||grad_u D(u)|| - 1)^2], u = where(x, x')."""
    return lam * off_one(score, where(x, fake))


def in_units(penalty: Penalty, units: Float[Tensor, "N"]) -> Penalty:
    """The penalty of points (B, N) with slopes measured per unit of each value, such as the deviations of the columns."""
    return partial(measured, penalty=penalty, units=units)


def measured(score: Score, x: Float[Tensor, "B N"], fake: Float[Tensor, "B N"], *, penalty: Penalty,
             units: Float[Tensor, "N"]) -> Float[Tensor, ""]:
    """The penalty as a function of the points in their units."""
    u = units.to(x)
    return penalty(lambda v: score(v * u), x / u, fake / u)


def zero_centred(r1: float = 1.0, r2: float = 0.0) -> Penalty:
    """The slope is held near zero on data, with the weight r1, and on generated points, with r2; half the weight times the squared slope.

    Raises:
        ValueError: weights below 0, or both 0.
    """
    if not (min(r1, r2) >= 0 and r1 + r2 > 0):
        raise ValueError(f"expected weights of 0 or more, one of them above 0, got {r1} and {r2}")
    return partial(squared_slopes, r1=r1, r2=r2)


def squared_slopes(score: Score, x: Float[Tensor, "B *D"], fake: Float[Tensor, "B *D"], *, r1: float,
                   r2: float) -> Float[Tensor, ""]:
    """r1 / 2 E_x[||grad_x D(x)||^2] + r2 / 2 E_x'[||grad_x' D(x')||^2]."""
    weighted = [(gamma, u) for gamma, u in ((r1, x), (r2, fake)) if gamma]
    terms = [gamma / 2 * gradients(score, u).square().sum(1).mean() for gamma, u in weighted]
    return torch.stack(terms).sum()
