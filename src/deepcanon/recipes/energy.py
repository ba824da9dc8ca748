"""Runs of energy-based models and of chains."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from deepcanon.data import arrays, images
from deepcanon.data.toys import density, toy
from deepcanon.energy.diagnostics import effective_sample_size, r_hat, standard_error
from deepcanon.energy.ebm import EBM
from deepcanon.energy.hopfield import Hopfield, hebb, recall
from deepcanon.energy.langevin import Energy, langevin
from deepcanon.energy.mcmc import mala, metropolis_hastings, random_walk
from deepcanon.engine import SGD, Adam, Run, Samples, at_least, at_most, cosine, fit, recipe
from deepcanon.layers.norm import Standardize
from deepcanon.nets.mlp import mlp
from deepcanon.recipes.judge import digits_judge

HALF = 4.0                                                                       # every toy lies within |x_1|, |x_2| < 4


@recipe(target={"kl": at_most(0.1)}, seconds=60, paper="Du & Mordatch 2019", rows=["GEN-44", "GEN-47"])
def ebm_toy(data: str = "eight_gaussians", width: int = 128, lr: float = 2e-3, batch: int = 128, steps: int = 1_200, chain_steps: int = 15,
            step_size: float = 0.015, restart: float = 0.05, seed: int = 0) -> Run:
    """An energy-based model learns a density in the plane from its points; KL(p || exp(-E) / Z), in nats, on a grid."""
    net = nn.Sequential(Zoom(6.0), mlp(2, width, width, 1, activation=nn.SiLU))
    method = EBM(net, lambda n: HALF * (2 * torch.rand(n, 2) - 1), sampler=partial(langevin, steps=chain_steps, step_size=step_size),
                 restart=restart, alpha=1e-3)
    return fit(method, toy(data, batch=batch, seed=seed), Adam(lr, schedule=cosine(warmup=0.02)), steps=steps, seed=seed, ema=0.998,
               evaluate=divergence(data), callbacks=[Samples(density_picture)])


@recipe(target={"class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60, paper="Du & Mordatch 2019", rows=["GEN-44", "GEN-47"])
def ebm_digits(width: int = 256, lr: float = 2e-3, batch: int = 64, steps: int = 3_000, chain_steps: int = 10, step_size: float = 0.01,
               temperature: float = 0.1, noise: float = 0.05, seed: int = 0) -> Run:
    """An energy-based model of scikit-learn's 8x8 digits, sampled by Langevin chains; Frechet distance and class balance after a minute."""
    net = nn.Sequential(Standardize(0.305, 0.5), nn.Flatten(), mlp(64, width, width, 1, activation=nn.SiLU))
    method = EBM(net, lambda n: torch.rand(n, 1, 8, 8), sampler=partial(langevin, steps=chain_steps, step_size=step_size, temperature=temperature),
                 restart=0.03, noise=noise, alpha=1e-3)
    return fit(method, images("digits", batch=batch, seed=seed), Adam(lr, schedule=cosine(warmup=0.02)), steps=steps, seed=seed, ema=0.99,
               evaluate=digits_judge(), callbacks=[Samples(lambda m: m.sample(64))])


@recipe(target={"capacity_low": at_least(0.12), "capacity_high": at_most(0.16), "kept": at_least(1.0)}, seconds=60,
        published={"capacity": 0.138}, source="Amit, Gutfreund & Sompolinsky 1985, for N to infinity", paper="Hopfield 1982", rows=["GEN-43"])
def hopfield_capacity(units: int = 500, draws: int = 4, stored: int = 40, size: int = 100, lr: float = 0.1, steps: int = 200, seed: int = 0) -> Run:
    """Hebb's rule on random patterns: the share of N at which one in ten of them is lost; and the contrast, which keeps far more in a small net."""
    method, patterns = Hopfield(size), spins(stored, size)
    return fit(method.fit(patterns), arrays(patterns, batch=stored, shuffle=False), SGD(lr), steps=steps, seed=seed,
               evaluate=[arrays(patterns, batch=stored, shuffle=False), capacity(units, draws)])


def spins(*shape: int) -> Tensor:
    """+1 and -1, as likely."""
    return 2.0 * torch.randint(2, shape) - 1


def capacity(units: int, draws: int) -> Callable[[Hopfield], dict[str, float]]:
    """An evaluation of Hebb's rule: the load P / N up to which recall keeps nine patterns in ten at an overlap above 0.95; its mean, least and
    largest value over some draws of the patterns. As N grows the fall becomes a jump, from nearly all to none."""
    loads = torch.arange(0.06, 0.21, 0.02)

    def nine_in_ten() -> float:
        kept = torch.zeros_like(loads)
        for i, load in enumerate(loads):
            patterns = spins(round(float(load) * units), units)
            overlap = (recall(hebb(patterns), patterns) * patterns).mean(1)
            kept[i] = (overlap > 0.95).float().mean()
        below = int((kept < 0.9).float().argmax())                               # the first load that is too much; a line to the one before
        share = (kept[below - 1] - 0.9) / (kept[below - 1] - kept[below])
        return (loads[below - 1] + share * (loads[below] - loads[below - 1])).item()

    def measure(method: Hopfield) -> dict[str, float]:
        found = [nine_in_ten() for _ in range(draws)]
        return {"capacity": sum(found) / draws, "capacity_low": min(found), "capacity_high": max(found)}

    return measure


class Law(NamedTuple):
    """A density in the plane with its mean and covariance, and the lengths of steps that suit it."""

    energy: Energy
    mean: list[float]
    covariance: list[list[float]]
    walk: float
    drift: float | None


LAWS = {
    "gaussian": Law(lambda x: (x[:, 0].square() - x[:, 0] * x[:, 1] + x[:, 1].square()) / 1.5, [0, 0], [[1, 0.5], [0.5, 1]], 2.0, 0.7),
    "banana": Law(lambda x: x[:, 0].square() / 2 + (x[:, 1] - (x[:, 0].square() - 1) / 4).square(), [0, 0], [[1, 0], [0, 0.625]], 1.6, 0.5),
    "mixture": Law(lambda x: -torch.logaddexp(-2 * (x - 1).square().sum(1), -2 * (x + 1).square().sum(1)), [0, 0], [[1.25, 1], [1, 1.25]], 1.8, None),
}


@recipe(target={"r_hat": at_most(1.01), "errors": at_most(4.0)}, seconds=60, paper="Metropolis et al. 1953; Roberts & Tweedie 1996",
        rows=["GEN-45", "GEN-47"])
def mcmc_toys(chains: int = 20, steps: int = 5_000, burn_in: int = 200, seed: int = 0) -> Run:
    """Random walks and MALA on a Gaussian, a banana and a mixture: worst R-hat, and worst moment in standard errors from the truth."""
    start = time.perf_counter()
    run = fit(nn.Module(), (), Adam(0.0), steps=0, seed=seed, evaluate=partial(moments, chains=chains, steps=steps, burn_in=burn_in))
    return replace(run, seconds=time.perf_counter() - start, steps=steps)


def moments(method: nn.Module, *, chains: int, steps: int, burn_in: int) -> dict[str, float]:
    """R-hat, errors of means and covariances, and effective draws, over all laws and samplers."""
    worst, errors, sizes = [], [], []
    for law in LAWS.values():
        x = torch.randn(chains, 2, dtype=torch.float64)
        runs = [metropolis_hastings(law.energy, x, propose=random_walk(law.walk), steps=steps)]
        if law.drift is not None:
            runs.append(mala(law.energy, x, steps=steps, step_size=law.drift))
        for draws in (made.draws[burn_in:] for made in runs):
            mean, covariance = (torch.tensor(t, dtype=torch.float64) for t in (law.mean, law.covariance))
            second = (draws - mean).unsqueeze(-1) * (draws - mean).unsqueeze(-2)
            for values, right in ((draws, mean), (second, covariance)):
                errors.append(((values.mean((0, 1)) - right).abs() / standard_error(values)).max())
            worst.append(r_hat(draws).max())
            sizes.append(effective_sample_size(draws).min())
    return {"r_hat": max(worst).item(), "errors": max(errors).item(), "effective_draws": min(sizes).item()}


class Zoom(nn.Module):
    """x -> factor x: in larger units a net finds details sooner, since it starts smooth."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def grid(points: int) -> tuple[Tensor, float]:
    """The middles of points x points cells of the square, (points^2, 2), and the area of a cell."""
    side = 2 * HALF / points
    line = side * (torch.arange(points) + 0.5) - HALF
    return torch.cartesian_prod(line, line), side**2


def divergence(name: str, points: int = 200) -> Callable[[EBM], dict[str, float]]:
    """An evaluation: KL(p || exp(-E) / Z) of a toy's density p, in nats, both integrals on a grid."""
    x, area = grid(points)
    log_p = density(name).log_prob(x)
    p = (log_p.exp() * area) / (log_p.exp() * area).sum()

    def measure(method: EBM) -> dict[str, float]:
        log_q = (-method.energy(x.to(method.chains))).log_softmax(0).to(p)       # exp(-E) / Z of each cell
        return {"kl": (p * (p.clamp(min=1e-30).log() - log_q)).sum().item()}

    return measure


def density_picture(method: EBM, points: int = 96) -> Tensor:
    """exp(-E) over the square, brightest where it is highest, as one picture (1, 1, points, points)."""
    energy = method.energy(grid(points)[0].to(method.chains)).unflatten(0, (points, points))
    return (energy.min() - energy).exp().T.flip(0)[None, None]
