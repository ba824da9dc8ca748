"""Runs of the simplest models, to see what depth adds: on images, or on the rows of a table."""

import math

from torch import nn

from deepcanon.data import Images, Source, Table, open_data
from deepcanon.engine import Adam, AdamW, Run, Samples, at_least, cosine, fit, preset, recipe
from deepcanon.foundations.linear import LinearClassifier
from deepcanon.foundations.regression import Regressor
from deepcanon.nets.perceptron import mlp as perceptron
from deepcanon.recipes.evaluation import evaluations
from deepcanon.recipes.inputs import class_count
from deepcanon.vision.classify import Classifier


@recipe(paper="Cox 1958; Gauss 1809", systems=["FND-04", "FND-08"], presets=[
    preset("digits", target={"accuracy": at_least(0.89)}, seconds=10),
    preset("mnist"), preset("fashion"), preset("iris", batch=32), preset("wine", batch=32), preset("breast_cancer"), preset("diabetes")])
def linear(data: Images | Table = "digits", *, size: int | None = None, target: str | None = None, lr: float = 0.05,
           batch: int = 64, steps: int = 800, seed: int = 0) -> Run:
    """A linear classifier of images or of a table's rows; of a table with a number to predict, linear regression.

    Args:
        data: images or a table by name, path or object.
        size: side in pixels that images are brought to.
        target: column of the table to predict, by default the one called target, label, class or y, else the last.
    """
    source = open_data(data, "images", "table", size=size, target=target)
    features = math.prod(source.shape)
    pictures = []
    if has_classes(source):
        method = LinearClassifier(features, class_count(source))
        if source.kind == "images":
            pictures = [Samples(lambda m: m.templates(*source.shape), every=200)]
    else:
        method = regressor(nn.Linear(features, 1), source)
    return fit(method, source.train(batch=batch, seed=seed), Adam(lr, schedule=cosine()), steps=steps, seed=seed,
               evaluate=evaluations(method, source), evaluate_every=max(1, steps // 8), callbacks=pictures)


@recipe(paper="Rumelhart et al. 1986", systems=["FND-10"], presets=[
    preset("digits", target={"accuracy": at_least(0.93)}, seconds=10),
    preset("mnist", steps=3_000), preset("fashion", steps=3_000), preset("iris", batch=32), preset("wine", batch=32),
    preset("breast_cancer"), preset("diabetes", width=64)])
def mlp(data: Images | Table = "digits", *, size: int | None = None, target: str | None = None, width: int = 256,
        layers: int = 1, lr: float = 5e-3, batch: int = 64, steps: int = 1_000, seed: int = 0) -> Run:
    """A perceptron with hidden layers, on images or on a table's rows: classes, or a number to predict.

    Args:
        data: images or a table by name, path or object.
        size: side in pixels that images are brought to.
        target: column of the table to predict, by default the one called target, label, class or y, else the last.
        width, layers: units of a hidden layer, and how many there are.
    """
    source = open_data(data, "images", "table", size=size, target=target)
    classes = has_classes(source)
    outputs = class_count(source) if classes else 1
    net = nn.Sequential(nn.Flatten(), perceptron(math.prod(source.shape), *[width] * layers, outputs))
    method = Classifier(net, label_smoothing=0.05) if classes else regressor(net, source)
    optimizer = AdamW(lr, weight_decay=0.1, schedule=cosine())
    return fit(method, source.train(batch=batch, seed=seed), optimizer, steps=steps, seed=seed,
               evaluate=evaluations(method, source), evaluate_every=max(1, steps // 10))


def has_classes(source: Source) -> bool:
    """Whether classes are to be told apart, and not a number predicted: images have no such number."""
    return bool(source.num_classes) or source.kind == "images"


def regressor(net: nn.Module, source: Source) -> Regressor:
    """A net of one output for the values of a table."""
    return Regressor(net, mean=source.target_mean, std=source.target_std)
