"""Stein variational gradient descent (Liu & Wang 2016, arXiv 1608.04471).

    x_i <- x_i + eps phi(x_i),    phi(x) = 1/n sum_j [ -k(x_j, x) grad E(x_j) + grad_{x_j} k(x_j, x) ],    k(x, y) = exp(-||x - y||^2 / h)

Of all directions in the kernel's function space phi lowers KL(particles || p) fastest. Its first term climbs p ~ exp(-E), smoothed over
neighbours; the second drives particles apart. One particle climbs to a mode of p. With h = median^2 / log(n + 1) the weights of a particle's
neighbours sum to about 1.
n particles, D shape of a point.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from deepcanon.energy.langevin_dynamics import Energy, slope


@torch.no_grad()
def svgd(energy: Energy, x: Float[Tensor, "n *D"], *, steps: int, step_size: float, bandwidth: float | None = None) -> Float[Tensor, "n *D"]:
    """The particles `steps` later.

    Args:
        energy: E (n,).
        x: where the particles are.
        steps: how many.
        step_size: eps.
        bandwidth: h; by default from the median distance, anew at each step.

    Raises:
        ValueError: a negative number of steps, a step size or a bandwidth that is not above 0.
    """
    if steps < 0 or not step_size > 0 or not (bandwidth is None or bandwidth > 0):
        raise ValueError(f"expected steps >= 0, step_size > 0 and bandwidth > 0, got {steps}, {step_size} and {bandwidth}")
    for _ in range(steps):
        x = x + step_size * stein_direction(x.flatten(1), slope(energy, x).flatten(1), bandwidth).view_as(x)
    return x


def stein_direction(x: Float[Tensor, "n D"], slopes: Float[Tensor, "n D"], bandwidth: float | None = None) -> Float[Tensor, "n D"]:
    """phi at each particle, from grad E at each."""
    x = x - x[:1]                                                                # only differences count, and small numbers keep them
    distance = torch.cdist(x, x).square()
    h = distance.median().maximum(1e-12 + 1e-6 * distance.amax()) / math.log(len(x) + 1) if bandwidth is None else bandwidth
    k = (-distance / h).exp()
    return (-k @ slopes + 2 / h * (k.sum(1, keepdim=True) * x - k @ x)) / len(x)
