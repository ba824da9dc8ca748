"""Langevin dynamics (Langevin 1908; Roberts & Tweedie 1996, "Exponential convergence of Langevin distributions and their discrete approximations").

    x_{t+1} = x_t - eps grad E(x_t) + sqrt(2 eps tau) z_t,      z_t ~ N(0, I)

As eps -> 0 the chain's law tends to p(x) ~ exp(-E(x) / tau). For finite eps it is off: on E = x^2 / 2 the chain ends at the variance
tau / (1 - eps / 2). With -grad E the score of a density, these are the chains of Song & Ermon 2019 (arXiv 1907.05600).
B chains, D shape of a point.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Energy = Callable[[Tensor], Tensor]  # points (B, *D) -> energies (B,)


def langevin(energy: Energy, x: Float[Tensor, "B *D"], *, steps: int, step_size: float, temperature: float = 1.0) -> Float[Tensor, "B *D"]:
    """The chains `steps` later; nothing is differentiated but the energy in x.

    Args:
        energy: E, a number for each chain.
        x: where the chains are.
        steps: how many.
        step_size: eps.
        temperature: tau; below 1 the noise is smaller than the density asks for, and 0 descends to the next minimum.

    Raises:
        ValueError: a negative number of steps or temperature, a step size that is not above 0.
    """
    if steps < 0 or temperature < 0 or not step_size > 0:
        raise ValueError(f"expected steps >= 0, step_size > 0 and temperature >= 0, got {steps}, {step_size} and {temperature}")
    x, noise = x.detach(), (2 * step_size * temperature) ** 0.5
    for _ in range(steps):
        x = x - step_size * slope(energy, x) + noise * torch.randn_like(x)
    return x


@torch.enable_grad()
def slope(energy: Energy, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
    """grad E at each point."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(energy(x).sum(), x)[0]
