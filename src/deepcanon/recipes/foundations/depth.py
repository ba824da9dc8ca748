"""Runs of a deep plain net that differ in how its weights begin, or in what normalises it.

    deepcanon compare initialization --weights small xavier kaiming orthogonal
    deepcanon compare normalization --norm none batch layer group

Twenty layers are deep enough that a factor a layer is seen: a wrong one, to the twentieth power, is a signal that has died.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import nn

from deepcanon.data import Images, Source, Table, open_data
from deepcanon.engine import SGD, Run, at_least, fit, preset, recipe
from deepcanon.foundations.initialization import Weights, initialize, kaiming, normal, orthogonal, xavier
from deepcanon.layers.norm import BatchNorm1d, Standardize
from deepcanon.nets.perceptron import mlp
from deepcanon.recipes.evaluation import evaluations
from deepcanon.recipes.inputs import class_count
from deepcanon.vision.classify import Classifier

WEIGHTS: dict[str, Weights] = {"small": normal, "xavier": xavier, "kaiming": kaiming, "orthogonal": partial(orthogonal, gain=2**0.5)}
NORMS: dict[str, Callable[[int], nn.Module] | None] = {
    "none": None, "batch": BatchNorm1d, "layer": nn.LayerNorm, "group": partial(nn.GroupNorm, 10)}


@recipe(paper="Glorot & Bengio 2010; He et al. 2015; Saxe et al. 2014", systems=["FND-31", "FND-32", "FND-33", "FND-35"], presets=[
    preset("digits", target={"accuracy": at_least(0.75)}, seconds=15),
    preset("digits", weights="small", seconds=15, expect="learns nothing: a signal from N(0, 0.01^2) dies in twenty layers"),
    preset("digits", weights="xavier", seconds=15, expect="learns late: N(0, 1/I) is right for a linear net, half of what rectifiers need"),
    preset("digits", weights="orthogonal", target={"accuracy": at_least(0.85)}, seconds=15),
    preset("mnist", steps=600, target={"accuracy": at_least(0.85)}, seconds=25),
    preset("mnist", weights="small", steps=600, seconds=25, expect="learns nothing: a signal from N(0, 0.01^2) dies in twenty layers"),
    preset("mnist", weights="xavier", steps=600, seconds=25, expect="stays behind kaiming: N(0, 1/I) is half of what rectifiers need"),
    preset("mnist", weights="orthogonal", steps=600, target={"accuracy": at_least(0.85)}, seconds=25)])
def initialization(data: Images | Table = "digits", weights: Literal["small", "xavier", "kaiming", "orthogonal"] = "kaiming", *,
                   size: int | None = None, target: str | None = None, lr: float = 0.02, batch: int = 64, steps: int = 300,
                   seed: int = 0) -> Run:
    """Twenty rectifier layers from one of four kinds of starting weights, which keep the size of the signal or lose it.

    Args:
        data: labelled images or a table of classes by name, path or object.
        weights: N(0, 0.01^2), N(0, 1/I), N(0, 2/I), or orthogonal matrices times sqrt 2.
        size: side in pixels that images are brought to.
        target: column of the table to predict.
    """
    source = open_data(data, "images", "table", size=size, target=target)
    return deep(source, WEIGHTS[weights], None, lr, batch, steps, seed)


@recipe(paper="Ioffe & Szegedy 2015; Ba et al. 2016; Wu & He 2018", systems=["FND-28", "FND-29", "FND-30", "FND-32"], presets=[
    preset("digits", target={"accuracy": at_least(0.7)}, seconds=15),
    preset("digits", norm="none", seconds=15, expect="learns late: its weights have half the variance that rectifiers need, and nothing mends it"),
    preset("digits", norm="layer", target={"accuracy": at_least(0.8)}, seconds=15),
    preset("digits", norm="group", target={"accuracy": at_least(0.8)}, seconds=15),
    preset("mnist", steps=600, target={"accuracy": at_least(0.7)}, seconds=25),
    preset("mnist", norm="none", steps=600, seconds=25, expect="stays behind: its weights have half the variance that rectifiers need"),
    preset("mnist", norm="layer", steps=600, target={"accuracy": at_least(0.85)}, seconds=25),
    preset("mnist", norm="group", steps=600, target={"accuracy": at_least(0.85)}, seconds=25)])
def normalization(data: Images | Table = "digits", norm: Literal["none", "batch", "layer", "group"] = "batch", *,
                  size: int | None = None, target: str | None = None, lr: float = 0.02, batch: int = 64, steps: int = 300,
                  seed: int = 0) -> Run:
    """Twenty rectifier layers from weights that are too small, with one of three normalisations or none.

    Args:
        data: labelled images or a table of classes by name, path or object.
        norm: of each unit over the batch, of each example over its units, or over groups of ten units.
        size: side in pixels that images are brought to.
        target: column of the table to predict.
    """
    source = open_data(data, "images", "table", size=size, target=target)
    return deep(source, xavier, NORMS[norm], lr, batch, steps, seed)


def deep(source: Source, weights: Weights, norm: Callable[[int], nn.Module] | None, lr: float, batch: int, steps: int, seed: int) -> Run:
    """Twenty ReLU layers of width 100, trained by SGD with momentum."""
    net = initialize(mlp(math.prod(source.shape), *[100] * 19, class_count(source), norm=norm), weights)
    standardize = [Standardize(source.mean, source.std)] if source.kind == "images" else []
    return fit(method := Classifier(nn.Sequential(*standardize, nn.Flatten(), net)), source.train(batch=batch, seed=seed),
               SGD(lr, momentum=0.9), steps=steps, seed=seed, clip_norm=1.0, evaluate=evaluations(method, source, batch=500),
               evaluate_every=max(1, steps // 20), log_every=10)
