"""What the runs of flows share: transforms of the data to where a flow starts, and the training."""

import math
from typing import Any

from torch import nn

from deepcanon.data import Source
from deepcanon.data.toys import TOYS
from deepcanon.engine import Factory, Run, fit
from deepcanon.flows.actnorm import ActNorm
from deepcanon.flows.dequantize import Dequantized, UniformNoise, VariationalNoise, noise_couplings
from deepcanon.flows.flow import Chain, Flatten, Flow, Logit
from deepcanon.recipes.evaluation import evaluations, pictures


def size_of(source: Source) -> int:
    """How many numbers a data point has."""
    return math.prod(source.shape)


def vectors(source: Source, transform: nn.Module) -> Flow:
    """A flow of rows of numbers: of points in their own units, of images the logits of their values."""
    if source.kind == "points":
        return Flow(Chain(*units(source), transform), source.shape)
    dim = size_of(source)
    return Flow(Chain(Flatten(source.shape), Logit(), ActNorm(dim), transform), (dim,))


def units(source: Source) -> list[nn.Module]:
    """Columns to mean 0 and deviation 1; known toys are taken as they are."""
    if source.name in TOYS:
        return []
    scale = ActNorm(size_of(source))
    if source.record is None:                           # of a saved run the weights hold it
        scale.start(source.train(batch=source.count, shuffle=False).at(0)[0])
    return [scale]


def density_run(flow: Flow, source: Source, optimizer: Factory, *, batch: int, steps: int, seed: int,
                variational: bool = False) -> Run:
    """Trains a flow: of points as it is, of images with noise that fills the gaps between their levels."""
    how: dict[str, Any] = {"steps": steps, "seed": seed, "clip_norm": 1.0, "callbacks": pictures(source)}
    train = source.train(batch=batch, seed=seed)
    if source.kind == "points":
        return fit(flow, train, optimizer, evaluate=evaluations(flow, source), **how)
    noise = VariationalNoise(noise_couplings(source.shape, width=16)) if variational else UniformNoise()
    method = Dequantized(flow, noise, levels=source.levels)
    return fit(method, train, optimizer, ema=0.998, evaluate=evaluations(method, source, batch=500), **how)
