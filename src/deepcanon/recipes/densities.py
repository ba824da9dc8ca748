"""What the runs of flows and of autoregressive models share: where a flow starts, and the training."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from deepcanon.data import Source
from deepcanon.data.toys import TOYS
from deepcanon.engine import Factory, Run, fit
from deepcanon.flows.actnorm import ActNorm
from deepcanon.flows.dequantize import Dequantized, UniformNoise, VariationalNoise, noise_couplings
from deepcanon.flows.flow import Chain, Flatten, Flow, Logit
from deepcanon.recipes.evaluation import chunks, evaluations, pictures
from deepcanon.recipes.inputs import size_of

DRAWN = 2**17                                           # pixels that are drawn at once


def density_run(method: nn.Module, source: Source, optimizer: Factory, *, batch: int, steps: int, seed: int,
                ema: float = 0.998, measures: list[Any] | None = None, draw: Any = None, **how: Any) -> Run:
    """Trains a density, of images with averaged weights; `draw` makes pictures, by default its draws."""
    images = source.kind == "images"
    measures = evaluations(method, source, batch=500 if images else None) if measures is None else measures
    return fit(method, source.train(batch=batch, seed=seed), optimizer, steps=steps, seed=seed, clip_norm=1.0,
               ema=ema if images else None, evaluate=measures, callbacks=pictures(source, draw), **how)


def drawn(method: Any, n: int, y: Tensor | None = None) -> Tensor:
    """n images from a model of pixels, of the classes y if given, as many at once as fit in memory."""
    sizes = chunks(n, max(16, DRAWN // math.prod(method.shape[1:])))
    labels = [None] * len(sizes) if y is None else y.split(sizes)
    return torch.cat([method.sample(size, label) for size, label in zip(sizes, labels)])


def of_class(method: Any, y: Tensor) -> Tensor:
    """An image of each class y."""
    return drawn(method, len(y), y)


def vectors(source: Source, transform: nn.Module) -> Flow | Dequantized:
    """A flow of rows of numbers: of points in their own units, of images the logits of their values."""
    if source.kind == "points":
        return point_flow(source, transform)
    dim = size_of(source)
    return dequantized(source, Chain(Flatten(source.shape), Logit(), ActNorm(dim), transform), (dim,))


def point_flow(source: Source, transform: nn.Module) -> Flow:
    """A flow of points, in their own units."""
    return Flow(Chain(*units(source), transform), source.shape)


def dequantized(source: Source, transform: nn.Module, shape: tuple[int, ...], *,
                variational: bool = False) -> Dequantized:
    """A flow of images, whose levels noise makes continuous: uniform, or learned."""
    noise = VariationalNoise(noise_couplings(source.shape, width=16)) if variational else UniformNoise()
    return Dequantized(Flow(transform, shape), noise, levels=source.levels)


def units(source: Source) -> list[nn.Module]:
    """Columns to mean 0 and deviation 1; known toys are taken as they are."""
    if source.name in TOYS:
        return []
    scale = ActNorm(size_of(source))
    if source.record is None:                           # of a saved run the weights hold it
        scale.start(source.train(batch=source.count, shuffle=False).at(0)[0])
    return [scale]
