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
from deepcanon.layers.norm import BatchNorm1d, Standardize
from deepcanon.nets.perceptron import mlp
from deepcanon.recipes.evaluation import Measure, evaluations, pictures

LEAKY = partial(nn.LeakyReLU, 0.2)


def generator(source: Source, latent: int, hidden: int, layers: int = 2, *, beside: int = 0) -> nn.Sequential:
    """(B, latent + beside) -> data points; of images, with batch normalisation."""
    values, inside, scale = math.prod(source.shape), widths(source, hidden, layers), units(source)
    if source.kind == "images":
        net = mlp(latent + beside, *reversed(inside), values, norm=BatchNorm1d)
        return nn.Sequential(net, nn.Unflatten(1, source.shape), nn.Sigmoid())
    net = mlp(latent + beside, *inside, values)
    return net.append(standardize(-scale[0] / scale[1], 1 / scale[1])) if scale else net


def critic(source: Source, hidden: int, layers: int = 2, *, outputs: int = 1, beside: int = 0,
           activation: Callable[[], nn.Module] = LEAKY) -> nn.Sequential:
    """Data points, each with `beside` further values behind it, (B, ...) -> (B, outputs)."""
    inputs, scale = math.prod(source.shape) + beside, units(source, beside)
    net = mlp(inputs, *widths(source, hidden, layers), outputs, activation=activation)
    first = [nn.Flatten()] if source.kind == "images" else [standardize(*scale)] if scale else []
    return nn.Sequential(*first, *net)


def widths(source: Source, hidden: int, layers: int) -> list[int]:
    """Units of a critic's hidden layers: of images, half as many in each as in the one before."""
    return [max(1, hidden // 2**i) if source.kind == "images" else hidden for i in range(layers)]


def standardize(mean: Tensor, std: Tensor) -> Standardize:
    """The layer (x - mean) / std of rows."""
    return Standardize(mean.tolist(), std.tolist(), places=0)


def units(source: Source, beside: int = 0) -> tuple[Tensor, Tensor] | None:
    """Mean and deviation of each column, 0 and 1 of the values behind them; None where the scale is one."""
    if source.kind == "images" or source.name in TOYS:
        return None
    mean, std = torch.zeros(source.shape), torch.ones(source.shape)
    if source.record is None:                           # a saved run has them among its weights
        std, mean = torch.std_mean(source.train(batch=source.count, shuffle=False).at(0)[0], 0, correction=0)
    return torch.cat([mean, torch.zeros(beside)]), torch.cat([std.where(std > 0, 1.0), torch.ones(beside)])


def slopes(source: Source, gamma: float | None, *, r2: bool = False, beside: int = 0) -> Penalty:
    """The zero-centred penalty: R1, and R2 if asked for or of points; None is the weight 1, of points 0.1."""
    points, scale = source.kind == "points", units(source, beside)
    weight = gamma if gamma is not None else 0.1 if points else 1.0
    penalty = zero_centred(weight, weight if r2 or points else 0.0)
    return in_units(penalty, scale[1]) if scale else penalty


def play(method: nn.Module, source: Source, lr: float, batch: int, steps: int, seed: int, *,
         betas: tuple[float, float] = (0.5, 0.9), measure: Measure | None = None,
         test_batch: int | None = None, **more: Any) -> Run:
    """The run that most share: a rate that falls to zero, averaged weights, pictures of what is generated.
    Images are compared with those of the untrained generator, unless there is something else to measure."""
    found = evaluations(method, source, ratio=source.kind == "images" and measure is None, batch=test_batch)
    return fit(method, source.train(batch=batch, seed=seed), Adam(lr, betas=betas, schedule=linear()),
               steps=steps, seed=seed, ema=0.99, evaluate=[*found, *([measure] if measure else [])],
               callbacks=pictures(source), **more)
