"""Samplers on the noise level alone (Karras, Aittala, Aila & Laine 2022, arXiv 2206.00364): x_sigma = x_0 + sigma eps.

    dx / dsigma = (x - D(x; sigma)) / sigma                        the probability flow, D(x; sigma) = E[x_0 | x_sigma = x]
    levels      sigma_i = (max^(1/rho) + i / (N - 1) (min^(1/rho) - max^(1/rho)))^rho,  then 0;    rho = 7: fine steps where there is little noise
    churn       before a step: sigma' = (1 + gamma) sigma,  x' = x + sqrt(sigma'^2 - sigma^2) z,   gamma = min(S / N, sqrt 2 - 1)
    Euler       x + (sigma_next - sigma') d,                       d = (x' - D(x'; sigma')) / sigma'          of first order
    Heun        x + (sigma_next - sigma') (d + d_next) / 2,        d_next at Euler's point; the step to 0 is Euler's    of second order
    DPM-Solver++ 3M (Lu et al. 2022, arXiv 2211.01095)             the exact solution for a D that is a polynomial of lambda = -log sigma,
        x <- e^(-h) x + (1 - e^(-h)) D + phi_2 D' - c phi_3 D'',     phi_2 = (e^(-h) - 1) / h + 1,  phi_3 = phi_2 / h - 1/2
        D', D'' the slope, and half the second derivative, times h and h^2, of the parabola through the answers at this level and
        the two before, h the step in lambda. c = 2 is exact for a parabola, hence of third order. c = 1, as in the authors' code
        and in others, is of second order, and more accurate when there are fewer than about fifty steps

eta > 0 adds noise to the third: a stochastic equation with the same marginals. `karras` runs any of them for a model in the
time of an SDE, `of_sde` and `of_levels` translate such a model, and a DDPM's, to noise levels.
B batch, D shape of a point, S levels.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from deepcanon.diffusion.sde import SDE

Denoiser = Callable[[Tensor, Tensor], Tensor]  # (x, sigma (B,)) -> E[x_0 | x]
Sampler = Callable[..., Tensor]


def karras_levels(steps: int, smallest: float = 0.002, largest: float = 80.0, rho: float = 7.0) -> Float[Tensor, "S"]:
    """steps + 1 falling noise levels, the last one 0, in float64.

    Raises:
        ValueError: no step, or levels that are not above 0 and in order.
    """
    if steps < 1 or not 0 < smallest < largest or not rho > 0:
        raise ValueError(f"expected a step or more, 0 < smallest < largest and rho > 0, got {steps}, {smallest}, {largest}, {rho}")
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    low, high = smallest ** (1 / rho), largest ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, ramp.new_zeros(1)])


def levels(sigmas: Float[Tensor, "S"]) -> Iterator[tuple[float, float]]:
    """Each level and the next.

    Raises:
        ValueError: levels that do not fall, or fall below 0.
    """
    if len(sigmas) < 2 or not (sigmas.diff() < 0).all() or sigmas[-1] < 0:
        raise ValueError(f"expected two noise levels or more that fall to 0 or above, got {[round(s, 4) for s in sigmas.tolist()]}")
    return pairwise(sigmas.tolist())


def at(sigma: float, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
    """The level of each example."""
    return x.new_full((len(x),), sigma)


def slope(denoise: Denoiser, x: Float[Tensor, "B *D"], sigma: float) -> Float[Tensor, "B *D"]:
    """dx / dsigma."""
    return (x - denoise(x, at(sigma, x))) / sigma


def churned(x: Float[Tensor, "B *D"], sigma: float, gamma: float, noise: float) -> tuple[Float[Tensor, "B *D"], float]:
    """x with more noise, and its level: gamma > 0 forgets errors of the steps before."""
    if gamma == 0:
        return x, sigma
    higher = sigma * (1 + gamma)
    return x + noise * math.sqrt(higher**2 - sigma**2) * torch.randn_like(x), higher


def gammas(sigmas: Float[Tensor, "S"], churn: float, between: tuple[float, float]) -> list[float]:
    """How much noise is added before each step; none outside the levels `between`."""
    if not churn >= 0:
        raise ValueError(f"expected a churn of 0 or more, got {churn}")
    most = min(churn / (len(sigmas) - 1), math.sqrt(2) - 1)
    return [most if between[0] <= sigma <= between[1] else 0.0 for sigma in sigmas[:-1].tolist()]


@torch.no_grad()
def euler(denoise: Denoiser, x: Float[Tensor, "B *D"], sigmas: Float[Tensor, "S"], *, churn: float = 0.0,
          between: tuple[float, float] = (0.0, math.inf), noise: float = 1.0) -> Float[Tensor, "B *D"]:
    """x at the last level from x at the first.

    Args:
        churn: S, the noise added in all steps together; 0 is deterministic.
        between: the levels at which noise is added.
        noise: the deviation of what is added, a little above 1 where a denoiser takes away too much.
    """
    for (sigma, then), gamma in zip(levels(sigmas), gammas(sigmas, churn, between)):
        x, sigma = churned(x, sigma, gamma, noise)
        x = x + (then - sigma) * slope(denoise, x, sigma)
    return x


@torch.no_grad()
def heun(denoise: Denoiser, x: Float[Tensor, "B *D"], sigmas: Float[Tensor, "S"], *, churn: float = 0.0,
         between: tuple[float, float] = (0.0, math.inf), noise: float = 1.0) -> Float[Tensor, "B *D"]:
    """The same of second order, two evaluations a step; arguments as `euler`."""
    for (sigma, then), gamma in zip(levels(sigmas), gammas(sigmas, churn, between)):
        x, sigma = churned(x, sigma, gamma, noise)
        d = slope(denoise, x, sigma)
        ahead = x + (then - sigma) * d
        x = ahead if then == 0 else x + (then - sigma) * (d + slope(denoise, ahead, then)) / 2
    return x


@torch.no_grad()
def dpm_solver_3m(denoise: Denoiser, x: Float[Tensor, "B *D"], sigmas: Float[Tensor, "S"], *, eta: float = 0.0,
                  noise: float = 1.0, curvature: float = 1.0) -> Float[Tensor, "B *D"]:
    """The same, one evaluation a step; the first step uses one answer, the second two, all others three.

    Args:
        eta: how much noise is added; 0 is deterministic, 1 the reverse stochastic equation.
        noise: the deviation of what is added.
        curvature: c, 1 for the steps of the authors' code, 2 for the third order.

    Raises:
        ValueError: a negative eta.
    """
    if not eta >= 0:
        raise ValueError(f"expected eta of 0 or more, got {eta}")
    answers: list[Tensor] = []                                                    # the newest first
    lengths: list[float] = []                                                     # of the steps that led to it
    for sigma, then in levels(sigmas):
        answers = [denoise(x, at(sigma, x)), *answers[:2]]
        if then == 0:
            return answers[0]
        length = math.log(sigma / then)
        h = (1 + eta) * length
        x = math.exp(-h) * x - math.expm1(-h) * answers[0]
        first, second = derivatives(answers, lengths, length)
        phi_2 = math.expm1(-h) / h + 1
        x = x + phi_2 * first - curvature * (phi_2 / h - 0.5) * second
        if eta:
            x = x + noise * then * math.sqrt(-math.expm1(-2 * eta * length)) * torch.randn_like(x)
        lengths = [length, *lengths[:1]]
    return x


def derivatives(answers: list[Tensor], lengths: list[float], length: float) -> tuple[Tensor | float, Tensor | float]:
    """Slope and half the second derivative of the parabola through the answers so far, in steps of `length`; 0 where they are too few."""
    if len(answers) == 1:
        return 0.0, 0.0
    r = [before / length for before in lengths]
    newer = (answers[0] - answers[1]) / r[0]
    if len(answers) == 2:
        return newer, 0.0
    bend = (newer - (answers[1] - answers[2]) / r[1]) / (r[0] + r[1])
    return newer + r[0] * bend, bend


def karras(denoise: Denoiser, x: Float[Tensor, "B *D"], sde: SDE, times: Float[Tensor, "S"], *, solver: Sampler = heun,
           rho: float = 7.0, **options) -> Float[Tensor, "B *D"]:
    """A sampler in the time of an SDE, for `ScoreSDE`: x_0 from x at times[0], by the solver on as many levels as there are steps.

    Args:
        solver: `euler`, `heun` or `dpm_solver_3m`; `options` are its own.
        rho: of the levels.
    """
    largest, smallest = (float(sde.noise(t) / sde.scale(t)) for t in (times[0], times[-1]))
    sigmas = karras_levels(len(times) - 1, smallest, largest, rho)
    return solver(of_sde(denoise, sde), x / sde.scale(times[0]).to(x), sigmas, **options)


def of_sde(denoise: Denoiser, sde: SDE) -> Denoiser:
    """A denoiser of (x, sigma) from one of (x_t, t): x_t = a(t) x, where s(t) / a(t) = sigma."""
    return partial(ask_at_time, denoise, sde)


def ask_at_time(denoise: Denoiser, sde: SDE, x: Float[Tensor, "B *D"], sigma: Float[Tensor, "B"]) -> Float[Tensor, "B *D"]:
    """The answer at the time of a noise level, which is found by halving [0, 1]."""
    low, high = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    wanted = sigma[0].double().cpu()
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sde.noise(middle) / sde.scale(middle) < wanted else (low, middle)
    return denoise(sde.scale(high).to(x) * x, high.to(x).expand(len(x)))


def of_levels(denoise: Denoiser, abar: Float[Tensor, "L"]) -> Denoiser:
    """A denoiser of (x, sigma) from a DDPM's of (x_t, t): at the t whose noise level is nearest, in logarithms."""
    return partial(ask_at_level, denoise, abar)


def ask_at_level(denoise: Denoiser, abar: Float[Tensor, "L"], x: Float[Tensor, "B *D"], sigma: Float[Tensor, "B"]) -> Float[Tensor, "B *D"]:
    """The answer at the level that is nearest."""
    log_sigma = ((1 - abar[1:]) / abar[1:]).double().log() / 2
    t = 1 + (log_sigma - sigma[0].double().to(log_sigma.device).log()).abs().argmin()
    return denoise(abar[t].sqrt().to(x) * x, t.to(x.device).expand(len(x)))
