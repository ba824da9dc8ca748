"""Diffusion as a stochastic differential equation, and the ordinary one with the same marginals (Song et al. 2021, arXiv 2011.13456).

    forward            dx = f(t) x dt + g(t) dw,     x_t = a(t) x_0 + s(t) eps,     f = a' / a,   g^2 = (s^2)' - 2 f s^2,     0 <= t <= 1
    reverse            dx = (f x - g^2 grad log p_t(x)) dt + g dw
    probability flow   dx/dt = f x - g^2 / 2 grad log p_t(x):       deterministic, runs both ways
    likelihood         log p_0(x_0) = log p_1(x_1) + int_0^1 div(dx/dt) dt            (instantaneous change of variables, Chen et al. 2018)
    corrector          x <- x + eps grad log p_t(x) + sqrt(2 eps) z,     eps = 2 (r ||z|| / ||grad log p_t||)^2

    VP   a^2 = exp(-int_0^t beta),   s^2 = 1 - a^2,   beta from 0.1 to 20 on a straight line: DDPM in continuous time
    VE   a = 1,   s = s_min (s_max / s_min)^t:        NCSN in continuous time

A denoiser is a function (x, t) -> E[x_0 | x_t = x], t of shape (B,); grad log p_t(x) = (a E[x_0 | x] - x) / s^2.
B batch, D shape of a point, S times.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from deepcanon.diffusion.divergence import Divergence, hutchinson

Denoiser = Callable[[Tensor, Tensor], Tensor]
OfTime = Callable[[Tensor], Tensor]


class SDE(NamedTuple):
    """a, s, f and g^2, each a function of time; the larger the power, the more steps there are where there is little noise."""

    scale: OfTime
    noise: OfTime
    drift: OfTime
    diffusion: OfTime
    power: float

    def times(self, steps: int, start: float = 1e-3) -> Tensor:
        """steps + 1 times from `start`, before which data hardly change, to 1; in float64."""
        return torch.linspace(start ** (1 / self.power), 1, steps + 1, dtype=torch.float64) ** self.power


class VariancePreserving(NamedTuple):
    """The functions of time of VP; beta from `slowest` to `fastest`."""

    slowest: float
    fastest: float

    def beta(self, t: Tensor) -> Tensor:
        """beta(t), which is g^2 too."""
        return self.slowest + t * (self.fastest - self.slowest)

    def log_a2(self, t: Tensor) -> Tensor:
        """log a^2 = -int_0^t beta."""
        return -t * self.slowest - t.square() * (self.fastest - self.slowest) / 2

    def scale(self, t: Tensor) -> Tensor:
        """a."""
        return (self.log_a2(t) / 2).exp()

    def noise(self, t: Tensor) -> Tensor:
        """s, of s^2 = 1 - a^2."""
        return (-torch.expm1(self.log_a2(t))).sqrt()

    def drift(self, t: Tensor) -> Tensor:
        """f = -beta / 2."""
        return -self.beta(t) / 2


class VarianceExploding(NamedTuple):
    """The functions of time of VE; s from `smallest` to `largest`."""

    smallest: float
    largest: float

    def noise(self, t: Tensor) -> Tensor:
        """s."""
        return self.smallest * (self.largest / self.smallest) ** t

    def diffusion(self, t: Tensor) -> Tensor:
        """g^2 = (s^2)'."""
        return self.noise(t).square() * (2 * math.log(self.largest / self.smallest))


def vp(slowest: float = 0.1, fastest: float = 20.0) -> SDE:
    """Variance preserving; beta from `slowest` to `fastest`."""
    law = VariancePreserving(slowest, fastest)
    return SDE(law.scale, law.noise, law.drift, law.beta, power=3.0)


def ve(smallest: float = 0.01, largest: float = 50.0) -> SDE:
    """Variance exploding; s from `smallest` to `largest`."""
    law = VarianceExploding(smallest, largest)
    return SDE(torch.ones_like, law.noise, torch.zeros_like, law.diffusion, power=1.0)


def score(denoise: Denoiser, x: Float[Tensor, "B *D"], sde: SDE, t: Float[Tensor, ""]) -> Float[Tensor, "B *D"]:
    """grad log p_t(x)."""
    t = t.to(x)
    return (sde.scale(t) * denoise(x, t.expand(len(x))) - x) / sde.noise(t) ** 2


def velocity(denoise: Denoiser, x: Float[Tensor, "B *D"], sde: SDE, t: Float[Tensor, ""]) -> Float[Tensor, "B *D"]:
    """dx/dt of the probability flow."""
    return sde.drift(t).to(x) * x - sde.diffusion(t).to(x) / 2 * score(denoise, x, sde, t)


@torch.no_grad()
def reverse_sde(denoise: Denoiser, x: Float[Tensor, "B *D"], sde: SDE, times: Float[Tensor, "S"]) -> Float[Tensor, "B *D"]:
    """x at times[-1] from x at times[0], falling, by Euler-Maruyama steps."""
    for t, s in pairwise(times):
        x = predict(denoise, x, sde, t, s)
    return x


@torch.no_grad()
def predictor_corrector(denoise: Denoiser, x: Float[Tensor, "B *D"], sde: SDE, times: Float[Tensor, "S"], *, corrections: int = 1,
                        snr: float = 0.16) -> Float[Tensor, "B *D"]:
    """As `reverse_sde`, with Langevin steps at each new time; r = `snr` is the size of a step's drift relative to its noise."""
    for t, s in pairwise(times):
        x = predict(denoise, x, sde, t, s)
        for _ in range(corrections):
            z, slope = torch.randn_like(x), score(denoise, x, sde, s)
            eps = 2 * (snr * z.flatten(1).norm(dim=1).mean() / slope.flatten(1).norm(dim=1).mean()) ** 2
            x = x + eps * slope + (2 * eps).sqrt() * z
    return x


def predict(denoise: Denoiser, x: Float[Tensor, "B *D"], sde: SDE, t: Float[Tensor, ""], s: Float[Tensor, ""]) -> Float[Tensor, "B *D"]:
    """One step of the reverse equation, from t back to s."""
    h, g2 = (t - s).to(x), sde.diffusion(t).to(x)
    return x - h * (sde.drift(t).to(x) * x - g2 * score(denoise, x, sde, t)) + (h * g2).sqrt() * torch.randn_like(x)


@torch.no_grad()
def heun(denoise: Denoiser, x: Float[Tensor, "B *D"], sde: SDE, times: Float[Tensor, "S"]) -> Float[Tensor, "B *D"]:
    """x at times[-1] from x at times[0], falling or rising, along the probability flow, by a method of second order."""
    for t, s in pairwise(times):
        h, here = (s - t).to(x), velocity(denoise, x, sde, t)
        x = x + h / 2 * (here + velocity(denoise, x + h * here, sde, s))
    return x


@torch.no_grad()
def log_prob(denoise: Denoiser, x: Float[Tensor, "B *D"], sde: SDE, times: Float[Tensor, "S"], *,
             divergence: Divergence = hutchinson) -> Float[Tensor, "B"]:
    """log density in nats of x at times[0], rising to 1: `exact`, or an estimate without bias by Hutchinson's; both up to the error of the steps."""
    total = x.new_zeros(len(x))
    for t, s in pairwise(times):
        h = (s - t).to(x)
        here, trace = divergence(lambda x, t=t: velocity(denoise, x, sde, t), x)
        there, trace_there = divergence(lambda x, s=s: velocity(denoise, x, sde, s), x + h * here)
        x, total = x + h / 2 * (here + there), total + h / 2 * (trace + trace_there)
    prior = torch.distributions.Normal(0.0, sde.noise(times[-1]).to(x), validate_args=False)
    return prior.log_prob(x).flatten(1).sum(1) + total
