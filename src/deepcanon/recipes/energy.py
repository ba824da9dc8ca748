"""Runs of energy-based models."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from deepcanon.data import images
from deepcanon.data.toys import density, toy
from deepcanon.energy.ebm import EBM
from deepcanon.energy.langevin import langevin
from deepcanon.engine import Adam, Run, Samples, at_least, at_most, cosine, fit, recipe
from deepcanon.layers.norm import Standardize
from deepcanon.nets.mlp import mlp
from deepcanon.recipes.judge import digits_judge

HALF = 4.0                                                                       # every toy lies within |x_1|, |x_2| < 4


@recipe(target={"kl": at_most(0.1)}, seconds=60, paper="Du & Mordatch 2019", rows=["GEN-44", "GEN-47"])
def ebm_toy(data: str = "eight_gaussians", width: int = 128, lr: float = 2e-3, batch: int = 128, steps: int = 1_200, chain_steps: int = 15,
            step_size: float = 0.015, seed: int = 0) -> Run:
    """An energy-based model learns a density in the plane from its points; KL(p || exp(-E) / Z), in nats, on a grid."""
    net = nn.Sequential(Zoom(6.0), mlp(2, width, width, 1, activation=nn.SiLU))
    method = EBM(net, lambda n: HALF * (2 * torch.rand(n, 2) - 1), sampler=partial(langevin, steps=chain_steps, step_size=step_size), alpha=1e-3)
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
