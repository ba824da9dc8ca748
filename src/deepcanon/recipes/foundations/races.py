"""Races of optimizers and of learning-rate schedules: one net, one set of data, one budget, and only that one thing different.

    deepcanon compare optimizer_race --optimizer sgd momentum nesterov adagrad rmsprop adam muon
    deepcanon compare schedule_race --schedule constant step cosine warmup warmup_step warmup_cosine

The optimizers' net has three hidden layers of 64 sigmoids. Each divides the gradient by four or more on its way down, so that curvatures of very
different size meet: a plateau at the start. A batch is the whole training set or a thousand examples, so that curvature, not noise, limits the
rate. Every optimizer runs at its best rate on a grid of two or three a decade, by the mean of the test loss along the run.

The schedules' net has eight hidden layers of 64 rectifiers, without normalisation, and Adam at a peak rate of 0.01, ten times its default.
Started at that rate, the net learns late and ends lower than after a rise over the first fifth of the run, whatever follows.
"""

import math
from typing import Literal

from torch import nn

from deepcanon.data import Images, Source, Table, open_data
from deepcanon.engine import (
    SGD,
    Adagrad,
    Adam,
    Factory,
    Muon,
    RMSprop,
    Run,
    at_least,
    at_most,
    constant,
    cosine,
    fit,
    preset,
    recipe,
    step_decay,
    warmup as rise,
)
from deepcanon.nets.perceptron import mlp
from deepcanon.recipes.evaluation import evaluations
from deepcanon.recipes.inputs import class_count
from deepcanon.vision.classify import Classifier

RATES = {"sgd": 3.0, "momentum": 1.0, "nesterov": 0.5, "adagrad": 0.1, "rmsprop": 0.01, "adam": 0.02, "muon": 0.02}
OPTIMIZERS = {
    "sgd": SGD, "momentum": lambda lr: SGD(lr, momentum=0.9), "nesterov": lambda lr: SGD(lr, momentum=0.9, nesterov=True),
    "adagrad": Adagrad, "rmsprop": RMSprop, "adam": Adam, "muon": Muon}
SCHEDULES = {
    "constant": constant, "step": step_decay, "cosine": cosine, "warmup": lambda: rise(0.2),
    "warmup_step": lambda: step_decay(warmup=0.2), "warmup_cosine": lambda: cosine(warmup=0.2)}


@recipe(paper="Robbins & Monro 1951; Polyak 1964; Nesterov 1983; Duchi et al. 2011; Tieleman & Hinton 2012; Kingma & Ba 2015; Jordan et al. 2024",
        systems=["FND-17", "FND-18", "FND-20", "FND-21", "FND-22", "FND-23", "FND-24"], presets=[
    preset("digits", lr=5.0, batch=1_437, seconds=5, expect="stays on the plateau: three sigmoid layers divide the gradient by 64 or more"),
    preset("digits", optimizer="momentum", lr=1.0, batch=1_437, target={"nll": at_most(0.7)}, seconds=5),
    preset("digits", optimizer="nesterov", lr=0.5, batch=1_437, target={"nll": at_most(0.7)}, seconds=5),
    preset("digits", optimizer="adagrad", lr=0.1, batch=1_437, target={"nll": at_most(0.6)}, seconds=5),
    preset("digits", optimizer="rmsprop", lr=0.01, batch=1_437, target={"nll": at_most(0.65)}, seconds=5),
    preset("digits", optimizer="adam", lr=0.02, batch=1_437, target={"nll": at_most(0.7)}, seconds=5),
    preset("digits", optimizer="muon", lr=0.02, batch=1_437, target={"nll": at_most(0.5)}, seconds=15),
    preset("mnist", lr=3.0, steps=400, seconds=15, expect="is long on the plateau: three sigmoid layers divide the gradient by 64 or more"),
    preset("mnist", optimizer="momentum", lr=1.0, steps=400, target={"nll": at_most(0.3)}, seconds=15),
    preset("mnist", optimizer="nesterov", lr=1.0, steps=400, target={"nll": at_most(0.3)}, seconds=15),
    preset("mnist", optimizer="adagrad", lr=0.1, steps=400, target={"nll": at_most(0.3)}, seconds=15),
    preset("mnist", optimizer="rmsprop", lr=0.01, steps=400, target={"nll": at_most(0.3)}, seconds=15),
    preset("mnist", optimizer="adam", lr=0.03, steps=400, target={"nll": at_most(0.3)}, seconds=15),
    preset("mnist", optimizer="muon", lr=0.1, steps=400, target={"nll": at_most(0.3)}, seconds=30)])
def optimizer_race(data: Images | Table = "digits",
                   optimizer: Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "muon"] = "sgd", *,
                   size: int | None = None, target: str | None = None, lr: float | None = None, batch: int = 1_000,
                   steps: int = 300, seed: int = 0) -> Run:
    """One of seven optimizers on a deep sigmoid net, whose plateau shows what they are for.

    Args:
        data: labelled images or a table of classes by name, path or object.
        optimizer: how a gradient becomes a step.
        lr: learning rate, by default one that suits the optimizer on small images.
        size: side in pixels that images are brought to.
        target: column of the table to predict.
    """
    source = open_data(data, "images", "table", size=size, target=target)
    rate = RATES[optimizer] if lr is None else lr
    return race(source, batch, [64] * 3, nn.Sigmoid, OPTIMIZERS[optimizer](rate), steps, seed)


@recipe(paper="Loshchilov & Hutter 2017, arXiv 1608.03983; Goyal et al. 2017, arXiv 1706.02677; He et al. 2016", systems=["FND-26"], presets=[
    preset("digits", target={"accuracy": at_least(0.75)}, seconds=5),
    preset("digits", schedule="step", target={"accuracy": at_least(0.75)}, seconds=5),
    preset("digits", schedule="cosine", target={"accuracy": at_least(0.8)}, seconds=5),
    preset("digits", schedule="warmup", target={"accuracy": at_least(0.85)}, seconds=5),
    preset("digits", schedule="warmup_step", target={"accuracy": at_least(0.85)}, seconds=5),
    preset("digits", schedule="warmup_cosine", target={"accuracy": at_least(0.87)}, seconds=5),
    preset("mnist", steps=800, target={"accuracy": at_least(0.8)}, seconds=15),
    preset("mnist", schedule="step", steps=800, target={"accuracy": at_least(0.8)}, seconds=15),
    preset("mnist", schedule="cosine", steps=800, target={"accuracy": at_least(0.85)}, seconds=15),
    preset("mnist", schedule="warmup", steps=800, target={"accuracy": at_least(0.87)}, seconds=15),
    preset("mnist", schedule="warmup_step", steps=800, target={"accuracy": at_least(0.88)}, seconds=15),
    preset("mnist", schedule="warmup_cosine", steps=800, target={"accuracy": at_least(0.9)}, seconds=15)])
def schedule_race(data: Images | Table = "digits",
                  schedule: Literal["constant", "step", "cosine", "warmup", "warmup_step", "warmup_cosine"] = "constant", *,
                  size: int | None = None, target: str | None = None, lr: float = 0.01, batch: int = 64, steps: int = 600,
                  seed: int = 0) -> Run:
    """One of six learning-rate schedules on a deep rectifier net: what a warm-up and a fall are worth.

    Args:
        data: labelled images or a table of classes by name, path or object.
        schedule: how the rate changes along the run.
        size: side in pixels that images are brought to.
        target: column of the table to predict.
    """
    source = open_data(data, "images", "table", size=size, target=target)
    return race(source, batch, [64] * 8, nn.ReLU, Adam(lr, schedule=SCHEDULES[schedule]()), steps, seed)


def race(source: Source, batch: int, hidden: list[int], activation: type[nn.Module], optimizer: Factory, steps: int, seed: int) -> Run:
    """A perceptron on flattened examples, evaluated thirty times for its curve."""
    method = Classifier(nn.Sequential(nn.Flatten(), mlp(math.prod(source.shape), *hidden, class_count(source), activation=activation)))
    return fit(method, source.train(batch=batch, seed=seed), optimizer, steps=steps, seed=seed,
               evaluate=evaluations(method, source, batch=2_000), evaluate_every=max(1, steps // 30))
