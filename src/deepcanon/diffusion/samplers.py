"""Samplers of diffusion models: from noise at time T to data at time 0, through any decreasing times.

With s < t two neighbouring times, x_0 the denoiser's estimate from x_t, eps = (x_t - sqrt(abar_t) x_0) / sqrt(1 - abar_t), z ~ N(0, I):

    ancestral (Ho et al. 2020, arXiv 2006.11239)     x_s = mu(x_t, x_0) + sigma z,        mu, sigma of q(x_s | x_t, x_0), or a larger sigma
        mu = sqrt(abar_s) beta / (1 - abar_t) x_0 + sqrt(alpha) (1 - abar_s) / (1 - abar_t) x_t,    alpha = abar_t / abar_s,  beta = 1 - alpha
    DDIM (Song et al. 2021, arXiv 2010.02502)        x_s = sqrt(abar_s) x_0 + sqrt(1 - abar_s - sigma^2) eps + sigma z,    sigma = eta posterior sigma
    DPM-Solver++ 2M (Lu et al. 2022, arXiv 2211.01095)    DDIM with eta = 0 and x_0 + h / (2 h') (x_0 - x_0') in place of x_0,
        x_0' the estimate of the step before, h and h' the lengths of this and that step in log SNR

eta = 1 is the ancestral sampler; eta = 0 is deterministic: Euler steps of an ordinary differential equation, which run in both directions.
The third is of second order for the same equation: good samples in ten steps.
A denoiser is a function (x_t, t) -> E[x_0 | x_t], with t of shape (B,). B batch, L = T + 1 levels of abar, S times.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

Denoiser = Callable[[Tensor, Tensor], Tensor]
Variance = Callable[[Tensor, Tensor], Tensor]  # (abar_t, abar_s) -> sigma^2


def posterior_variance(abar_t: Tensor, abar_s: Tensor) -> Tensor:
    """Variance of q(x_s | x_t, x_0), right if the data were one point: the lower bound of the best sigma^2."""
    return (1 - abar_s) / (1 - abar_t) * forward_variance(abar_t, abar_s)


def forward_variance(abar_t: Tensor, abar_s: Tensor) -> Tensor:
    """beta, the variance of q(x_t | x_s), right if the data were N(0, I): the upper bound of the best sigma^2."""
    return 1 - abar_t / abar_s


def posterior_mean(x_t: Tensor, x_0: Tensor, abar_t: Tensor, abar_s: Tensor) -> Tensor:
    """Mean of q(x_s | x_t, x_0)."""
    alpha = abar_t / abar_s
    return (abar_s.sqrt() * (1 - alpha) * x_0 + alpha.sqrt() * (1 - abar_s) * x_t) / (1 - abar_t)


def steps(times: Int[Tensor, "S"], abar: Float[Tensor, "L"], *, rising: bool = False) -> Iterator[tuple[Tensor, Tensor]]:
    """Each time and the next.

    Raises:
        ValueError: times that do not fall (nor rise, if they may), begin at 0 or leave 0 ... T.
    """
    change = times.diff()
    if not ((change < 0).all() or (rising and (change > 0).all())) or not (times[0] > 0 and times.min() >= 0 and times.max() < len(abar)):
        ways = "fall or rise" if rising else "fall"
        raise ValueError(f"expected times that {ways} within 0 ... {len(abar) - 1} and do not begin at 0, got {times.tolist()}")
    return pairwise(times)


def at(t: Int[Tensor, ""], x: Float[Tensor, "B ..."]) -> Int[Tensor, "B"]:
    """The time of each example, where the examples are."""
    return t.to(x.device).expand(len(x))


@torch.no_grad()
def ancestral(denoise: Denoiser, x: Float[Tensor, "B ..."], abar: Float[Tensor, "L"], times: Int[Tensor, "S"], *,
              variance: Variance = posterior_variance) -> Float[Tensor, "B ..."]:
    """x at times[-1] from x at times[0]. No noise is added in a step to time 0, whose mean is the denoiser's estimate."""
    for t, s in steps(times, abar):
        x = posterior_mean(x, denoise(x, at(t, x)), abar[t], abar[s])
        if s > 0:
            x = x + variance(abar[t], abar[s]).sqrt() * torch.randn_like(x)
    return x


@torch.no_grad()
def ddim(denoise: Denoiser, x: Float[Tensor, "B ..."], abar: Float[Tensor, "L"], times: Int[Tensor, "S"], *,
         eta: float = 0.0) -> Float[Tensor, "B ..."]:
    """x at times[-1] from x at times[0]. With eta = 0, rising times encode data: start at time 1, where data and x are almost the same.

    Raises:
        ValueError: eta outside [0, 1].
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"expected eta in [0, 1], got {eta}")
    for t, s in steps(times, abar, rising=not eta):
        x_0 = denoise(x, at(t, x))
        eps = (x - abar[t].sqrt() * x_0) / (1 - abar[t]).sqrt()
        sigma = eta * posterior_variance(abar[t], abar[s]).sqrt() if eta else 0
        x = abar[s].sqrt() * x_0 + (1 - abar[s] - sigma**2).sqrt() * eps
        if eta:
            x = x + sigma * torch.randn_like(x)
    return x


@torch.no_grad()
def dpm_solver(denoise: Denoiser, x: Float[Tensor, "B ..."], abar: Float[Tensor, "L"], times: Int[Tensor, "S"]) -> Float[Tensor, "B ..."]:
    """x at times[-1] from x at times[0], deterministic. The first step, and one to time 0, where the SNR is infinite, are DDIM's."""
    log_snr = (abar / (1 - abar)).log()
    before, h_before = None, torch.inf
    for t, s in steps(times, abar):
        x_0, h = denoise(x, at(t, x)), log_snr[s] - log_snr[t]
        ahead = x_0 if before is None or s == 0 else x_0 + h / (2 * h_before) * (x_0 - before)
        x = abar[s].sqrt() * ahead + ((1 - abar[s]) / (1 - abar[t])).sqrt() * (x - abar[t].sqrt() * ahead)
        before, h_before = x_0, h
    return x
