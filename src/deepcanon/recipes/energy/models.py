"""Runs of energy-based models: of images, or of points in the plane whose energy can be integrated on a grid."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from deepcanon.data import Images, Points, open_data
from deepcanon.data.toys import TOYS, density
from deepcanon.energy.ebm import EBM
from deepcanon.energy.langevin_dynamics import langevin
from deepcanon.engine import Adam, Run, Samples, at_least, at_most, cosine, fit, preset, recipe
from deepcanon.layers.norm import Standardize
from deepcanon.nets.perceptron import mlp
from deepcanon.recipes.evaluation import evaluations, pictures

HALF = 4.0                                              # every toy lies within |x_1|, |x_2| < 4


@recipe(paper="Du & Mordatch 2019", systems=["GEN-44", "GEN-47"], presets=[
    preset("digits", target={"class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60),
    preset("eight_gaussians", width=128, batch=128, steps=1_200, chain_steps=15, step_size=0.015, temperature=1.0, noise=0.0, restart=0.05,
           ema=0.998, target={"kl": at_most(0.1)}, seconds=60)])
def ebm(data: Images | Points = "digits", *, size: int | None = None, width: int = 256, lr: float = 2e-3, batch: int = 64,
        steps: int = 3_000, chain_steps: int = 10, step_size: float = 0.01, temperature: float = 0.1, noise: float = 0.05,
        restart: float = 0.03, ema: float = 0.99, seed: int = 0) -> Run:
    """An energy-based model, sampled by Langevin chains; of points whose density is known, KL(p || exp(-E) / Z) in nats on a grid.

    Args:
        data: images or points by name, path or object.
        size: side in pixels that images are brought to.
        width: units of each of two hidden layers.
        chain_steps, step_size, temperature: Langevin steps a training step, their size, the temperature of their noise.
        noise: added to the training examples.
        restart: share of chains that begin anew.
        ema: decay of the averaged weights.
    """
    source = open_data(data, "images", "points", size=size)
    values, points = math.prod(source.shape), source.kind == "points"
    first = [Zoom(6.0)] if points else [Standardize(source.mean, 0.5), nn.Flatten()]
    net = nn.Sequential(*first, mlp(values, width, width, 1, activation=nn.SiLU))
    start = partial(anywhere if points else grey, source.shape)
    method = EBM(net, start, sampler=partial(langevin, steps=chain_steps, step_size=step_size, temperature=temperature),
                 restart=restart, noise=noise, alpha=1e-3)
    known = source.name in TOYS
    return fit(method, source.train(batch=batch, seed=seed), Adam(lr, schedule=cosine(warmup=0.02)), steps=steps, seed=seed, ema=ema,
               evaluate=grid_divergence(source.name) if known else evaluations(method, source),
               callbacks=[Samples(density_picture)] if known else pictures(source))


def anywhere(shape: tuple[int, ...], n: int) -> Tensor:
    """n points of the square, or cube, where the toys lie."""
    return HALF * (2 * torch.rand(n, *shape) - 1)


def grey(shape: tuple[int, ...], n: int) -> Tensor:
    """n pictures of uniform noise."""
    return torch.rand(n, *shape)


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


def grid_divergence(name: str, points: int = 200) -> Callable[[EBM], dict[str, float]]:
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
