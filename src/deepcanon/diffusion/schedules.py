"""Noise schedules of diffusion: abar_0 = 1 > abar_1 > ... > abar_T, the share of the data's variance left at each time.

    linear     abar_t = prod_{s <= t} (1 - beta_s),  T beta_t from 0.1 to 20            (Ho et al. 2020, arXiv 2006.11239)
    cosine     abar_t = f(t) / f(0),  f(t) = cos^2((t/T + 0.008) / 1.008 * pi/2),
               each beta_t = 1 - abar_t / abar_{t-1} at most 0.999                       (Nichol & Dhariwal 2021, arXiv 2102.09672)

Both return abar in float64, T + 1 long, so that abar[t] is the paper's abar_t and abar[0] belongs to clean data.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def linear_schedule(T: int = 1000, start: float = 0.1, end: float = 20.0, max_beta: float = 0.999) -> Float[Tensor, "{T}+1"]:
    """T beta_t on a straight line from `start` to `end`: for T = 1000 beta_t from 1e-4 to 0.02, and as much noise in all for any T."""
    return from_beta((torch.linspace(start, end, T, dtype=torch.float64) / T).clamp(max=max_beta))


def cosine_schedule(T: int = 1000, offset: float = 0.008, max_beta: float = 0.999) -> Float[Tensor, "{T}+1"]:
    """Destroys the data more evenly than the linear schedule, for any T."""
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = ((t + offset) / (1 + offset) * math.pi / 2).cos().square()
    return from_beta((1 - f[1:] / f[:-1]).clamp(max=max_beta))


def from_beta(beta: Float[Tensor, "T"]) -> Float[Tensor, "T+1"]:
    """abar of any beta_1 ... beta_T."""
    return torch.cat([beta.new_ones(1), (1 - beta).cumprod(0)])


def strided(T: int, steps: int) -> Int[Tensor, "{steps}+1"]:
    """Times T = tau_0 > tau_1 > ... > tau_steps = 0, evenly spaced up to rounding."""
    if not 1 <= steps <= T:
        raise ValueError(f"expected 1 to {T} steps, got {steps}")
    return torch.linspace(T, 0, steps + 1, dtype=torch.float64).round().long()
