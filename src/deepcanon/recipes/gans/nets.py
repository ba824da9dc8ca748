"""Players, penalty and run that the recipes of adversarial networks share; shapes follow from the data.

Columns of a user's points may have any scale: the generator ends in their units, the discriminator leaves
them at once, and slopes are measured without them. Points of a known density are taken as they are.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from deepcanon.data.source import Source
from deepcanon.data.toys import TOYS
from deepcanon.engine import Adam, Run, fit, linear
from deepcanon.gans.penalties import Penalty, in_units, zero_centred
from deepcanon.layers.norm import Standardize
from deepcanon.nets.mlp import mlp
from deepcanon.recipes.evaluation import Measure, evaluations, pictures

LEAKY = partial(nn.LeakyReLU, 0.2)


class Rescale(nn.Module):
    """Takes columns of mean 0 and deviation 1 to the units of the data."""

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.std + self.mean


def generator(source: Source, latent: int, hidden: int, layers: int = 2, *, beside: int = 0) -> nn.Sequential:
    """(B, latent + beside) -> data points; of images, with batch normalisation."""
    values, inside = math.prod(source.shape), widths(source, hidden, layers)
    if source.kind == "images":
        net = mlp(latent + beside, *reversed(inside), values, norm=nn.BatchNorm1d)
        return nn.Sequential(net, nn.Unflatten(1, source.shape), nn.Sigmoid())
    net, scale = mlp(latent + beside, *inside, values), units(source)
    return net.append(Rescale(*scale)) if scale else net


def critic(source: Source, hidden: int, layers: int = 2, *, outputs: int = 1, beside: int = 0,
           activation: Callable[[], nn.Module] = LEAKY) -> nn.Sequential:
    """Data points, each with `beside` further values behind it, (B, ...) -> (B, outputs)."""
    inputs, scale = math.prod(source.shape) + beside, units(source, beside)
    net = mlp(inputs, *widths(source, hidden, layers), outputs, activation=activation)
    if source.kind == "images":
        return nn.Sequential(nn.Flatten(), *net)
    return nn.Sequential(Standardize(scale[0].tolist(), scale[1].tolist(), places=0), *net) if scale else net


def widths(source: Source, hidden: int, layers: int) -> list[int]:
    """Units of a critic's hidden layers: of images, half as many in each as in the one before."""
    return [max(1, hidden // 2**i) if source.kind == "images" else hidden for i in range(layers)]


def units(source: Source, beside: int = 0) -> tuple[Tensor, Tensor] | None:
    """Mean and deviation of each column, 0 and 1 of the values behind them; None where the scale is one."""
    if source.kind == "images" or source.name in TOYS:
        return None
    if source.record is not None:                       # a saved run has them among its weights
        std, mean = torch.ones(source.shape), torch.zeros(source.shape)
    else:
        x, _ = source.train(batch=source.count, shuffle=False).at(0)
        std, mean = torch.std_mean(x, 0, correction=0)
    std = std.where(std > 0, 1.0)
    return torch.cat([mean, torch.zeros(beside)]), torch.cat([std, torch.ones(beside)])


def slopes(source: Source, r1: float, r2: float, *, beside: int = 0) -> Penalty:
    """The zero-centred penalty on data (R1) and on generated points (R2)."""
    penalty, scale = zero_centred(r1, r2), units(source, beside)
    return in_units(penalty, scale[1]) if scale else penalty


def by_kind(source: Source, value: float | None, images: float, points: float) -> float:
    """A value that is given, or what suits the kind of the data."""
    return value if value is not None else images if source.kind == "images" else points


def play(method: nn.Module, source: Source, lr: float, batch: int, steps: int, seed: int, *,
         betas: tuple[float, float] = (0.5, 0.9), measure: Measure | None = None,
         test_batch: int | None = None, **more: Any) -> Run:
    """The run that most share: a rate that falls to zero, averaged weights, pictures of what is generated.
    Images are compared with those of the untrained generator, unless there is something else to measure."""
    found = evaluations(method, source, ratio=source.kind == "images" and measure is None, batch=test_batch)
    return fit(method, source.train(batch=batch, seed=seed), Adam(lr, betas=betas, schedule=linear()),
               steps=steps, seed=seed, ema=0.99, evaluate=[*found, *([measure] if measure else [])],
               callbacks=pictures(source), **more)
