"""Metropolis-Hastings (Metropolis et al. 1953; Hastings 1970) and its Langevin form MALA (Roberts & Tweedie 1996), many chains at once.

    x' ~ q(. | x),    accepted with probability    alpha = min(1, p(x') q(x | x') / (p(x) q(x' | x))),    else x stays
    p(x') / p(x) = exp(E(x) - E(x')):    the partition function cancels
    MALA:    q(x' | x) = N(x - eps grad E(x), 2 eps I),    a Langevin step whose bias the acceptance removes

Detailed balance, p(x) T(x -> x') = p(x') T(x' -> x), makes p ~ exp(-E) the stationary law of the transition T, whatever q is.
B chains run side by side, one call of the energy for all. S steps, D shape of a point, K states of a finite space.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from deepcanon.energy.langevin_dynamics import Energy
from deepcanon.layers.precision import widened

Proposal = Callable[[Tensor], tuple[Tensor, Tensor]]  # x (B, *D) -> x' (B, *D) and log q(x | x') - log q(x' | x), (B,)


class Chains(NamedTuple):
    """Every step of every chain (S, B, *D), and the share of its proposals that each chain accepted (B,)."""

    draws: Tensor
    accepted: Tensor


def random_walk(scale: float) -> Proposal:
    """x' = x + scale z with z ~ N(0, I): symmetric, so that q cancels.

    Raises:
        ValueError: a scale that is not above 0.
    """
    if not scale > 0:
        raise ValueError(f"expected a scale above 0, got {scale}")
    return partial(nearby, scale=scale)


def nearby(x: Float[Tensor, "B *D"], *, scale: float) -> tuple[Float[Tensor, "B *D"], Float[Tensor, "B"]]:
    """x + scale z, and the zero that the log ratio of q is."""
    return x + scale * torch.randn_like(x), x.new_zeros(len(x))


@torch.no_grad()
def metropolis_hastings(energy: Energy, x: Float[Tensor, "B *D"], *, propose: Proposal, steps: int) -> Chains:
    """Chains from x.

    Args:
        energy: E (B,), infinite where p = 0.
        x: where the chains begin.
        propose: such as `random_walk(0.5)`.
        steps: S.

    Raises:
        ValueError: no step, a chain begins where p = 0.
    """
    if steps < 1:
        raise ValueError(f"expected one step or more, got {steps}")
    e, draws, accepts = begin(energy(x)), [], []
    for _ in range(steps):
        y, log_q = propose(x)
        e_y = energy(y)
        accept = accepted(e - e_y + log_q)
        x, e = choose(accept, y, x), choose(accept, e_y, e)
        draws.append(x)
        accepts.append(accept)
    return Chains(torch.stack(draws), torch.stack(accepts).float().mean(0))


@torch.no_grad()
def mala(energy: Energy, x: Float[Tensor, "B *D"], *, steps: int, step_size: float) -> Chains:
    """Chains from x with Langevin proposals; one gradient of the energy a step. `step_size` is eps.

    Raises:
        ValueError: no step, a step size that is not above 0, a chain begins where p = 0.
    """
    if steps < 1 or not step_size > 0:
        raise ValueError(f"expected one step or more and a step size above 0, got {steps} and {step_size}")
    e, slope = energy_and_slope(energy, x)
    begin(e)
    draws, accepts = [], []
    for _ in range(steps):
        y = x - step_size * slope + (2 * step_size) ** 0.5 * torch.randn_like(x)
        e_y, slope_y = energy_and_slope(energy, y)
        log_q = (squares(y - x + step_size * slope) - squares(x - y + step_size * slope_y)) / (4 * step_size)
        accept = accepted(e - e_y + log_q)
        x, e, slope = choose(accept, y, x), choose(accept, e_y, e), choose(accept, slope_y, slope)
        draws.append(x)
        accepts.append(accept)
    return Chains(torch.stack(draws), torch.stack(accepts).float().mean(0))


def transition_matrix(energy: Float[Tensor, "K"], proposal: Float[Tensor, "K K"]) -> Float[Tensor, "K K"]:
    """T of the chain on K states that proposes j from i with probability q_ij; what is rejected stays on the diagonal."""
    moves = torch.minimum(proposal, (energy[:, None] - energy).exp() * proposal.T)   # q_ij alpha_ij
    moves = moves - moves.diagonal().diag()
    return moves + (1 - moves.sum(1)).diag()


def accepted(log_ratio: Float[Tensor, "B"]) -> Tensor:
    """True with probability min(1, exp(log_ratio)); never where it is not a number."""
    return torch.rand_like(widened(log_ratio)).log() < log_ratio


def choose(accept: Tensor, new: Float[Tensor, "B *D"], old: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
    """The new value of the chains that accept, the old one of the others."""
    return torch.where(accept.view(-1, *[1] * (new.ndim - 1)), new, old)


def begin(energies: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
    """The energies where chains begin, refused if one is not finite."""
    if not energies.isfinite().all():
        raise ValueError(f"{int((~energies.isfinite()).sum())} of {len(energies)} chains begin where the energy is not finite")
    return energies


def squares(x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
    """||x||^2 of each chain."""
    return x.flatten(1).square().sum(1)


@torch.enable_grad()
def energy_and_slope(energy: Energy, x: Float[Tensor, "B *D"]) -> tuple[Tensor, Tensor]:
    """E (B,) and grad E (B, *D)."""
    x = x.detach().requires_grad_()
    e = energy(x)
    return e.detach(), torch.autograd.grad(e.sum(), x)[0]
