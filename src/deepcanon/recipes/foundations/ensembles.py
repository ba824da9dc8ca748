"""Runs of ensembles: what several nets, or several stages of one, are worth beside one of them."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from deepcanon.data import Images, Source, Table, open_data
from deepcanon.data.batches import StackedBatches
from deepcanon.engine import SGD, Adam, Run, at_least, cosine, evaluate, fit, preset, recipe
from deepcanon.engine.schedules import Schedule
from deepcanon.foundations.bagging import bootstrap
from deepcanon.foundations.ensembles import Ensemble
from deepcanon.foundations.initialization import initialize, kaiming
from deepcanon.foundations.snapshots import Snapshots, average_weights
from deepcanon.layers.norm import Standardize
from deepcanon.nets.members import StackedMLPs
from deepcanon.nets.perceptron import mlp
from deepcanon.recipes.evaluation import evaluations
from deepcanon.recipes.inputs import class_count
from deepcanon.vision.classify import Classifier


@recipe(paper="Lakshminarayanan et al. 2017", systems=["FND-42", "FND-45"], presets=[
    preset("digits", members=5, width=32, lr=3e-3, steps=400, seconds=20,
           target={"nll_gain": at_least(0.0), "accuracy_gain": at_least(0.0), "averaged_drop": at_least(0.3)}),
    preset("mnist", limit=2_000, seconds=60,
           target={"nll_gain": at_least(0.0), "accuracy_gain": at_least(0.0), "averaged_drop": at_least(0.3)})])
def deep_ensemble(data: Images | Table = "digits", *, size: int | None = None, target: str | None = None, limit: int | None = None,
                  members: int = 10, width: int = 128, lr: float = 1e-3, batch: int = 64, steps: int = 900, seed: int = 0) -> Run:
    """Perceptrons from different starts: what averaging their predictions gains, and averaging their weights loses.

    Args:
        data: labelled images or a table of classes by name, path or object.
        size: side in pixels that images are brought to.
        target: column of the table to predict.
        limit: only this many training examples.
        members: nets of the ensemble.
        width: units of each of three hidden layers.
    """
    source = open_data(data, "images", "table", size=size, target=target)
    return together(source, members, width, lr, mixed(source, limit, members, batch, seed), steps, seed)


@recipe(paper="Breiman 1996", systems=["FND-46"], presets=[
    preset("digits", members=5, width=32, lr=3e-3, steps=400, seconds=20, target={"nll_gain": at_least(0.0), "accuracy_gain": at_least(0.0)}),
    preset("mnist", limit=2_000, seconds=60, target={"nll_gain": at_least(0.0), "accuracy_gain": at_least(0.0)})])
def bagging(data: Images | Table = "digits", *, size: int | None = None, target: str | None = None, limit: int | None = None,
            members: int = 10, width: int = 128, lr: float = 1e-3, batch: int = 64, steps: int = 900, seed: int = 0) -> Run:
    """Perceptrons, each on its own bootstrap sample of the training examples.

    Args:
        data: labelled images or a table of classes by name, path or object.
        size: side in pixels that images are brought to.
        target: column of the table to predict.
        limit: only this many training examples.
        members: nets of the ensemble.
        width: units of each of three hidden layers.
    """
    source = open_data(data, "images", "table", size=size, target=target)
    return together(source, members, width, lr, mixed(source, limit, members, batch, seed, resample=True), steps, seed)


@recipe(paper="Huang et al. 2017", systems=["FND-44"], presets=[
    preset("digits", width=32, steps=1_000, seconds=20, target={"nll_gain": at_least(0.0), "accuracy_gain": at_least(0.0)}),
    preset("mnist", limit=2_000, seconds=60, target={"nll_gain": at_least(0.0), "accuracy_gain": at_least(0.0)})])
def snapshot_ensemble(data: Images | Table = "digits", *, size: int | None = None, target: str | None = None, limit: int | None = None,
                      members: int = 5, width: int = 128, lr: float = 0.1, batch: int = 64, steps: int = 1_500, seed: int = 0) -> Run:
    """One perceptron whose rate is let down and raised again; its valleys as an ensemble.

    Args:
        data: labelled images or a table of classes by name, path or object.
        size: side in pixels that images are brought to.
        target: column of the table to predict.
        limit: only this many training examples.
        members: cycles of the rate, each of which leaves a member.
        width: units of each of three hidden layers.
    """
    source = open_data(data, "images", "table", size=size, target=target)
    method = Snapshots(perceptron(source, width), every=max(1, steps // members), num_members=members)
    return fit(method, some(source, limit, batch, seed), {"net": SGD(lr, schedule=restarts(members))}, steps=steps, seed=seed,
               evaluate=evaluations(method, source))


@recipe(paper="Izmailov et al. 2018", systems=["FND-45"], presets=[
    preset("digits", width=32, every=22, steps=600, seconds=20, target={"averaged_gain": at_least(-0.01), "nll_gain": at_least(0.0)}),
    preset("mnist", limit=2_000, seconds=60, target={"averaged_gain": at_least(-0.01), "nll_gain": at_least(0.0)})])
def weight_average(data: Images | Table = "digits", *, size: int | None = None, target: str | None = None, limit: int | None = None,
                   members: int = 10, every: int = 31, width: int = 128, lr: float = 0.05, batch: int = 64, steps: int = 900,
                   seed: int = 0) -> Run:
    """One perceptron at a constant rate, and the mean of its weights at the ends of its last epochs.

    Args:
        data: labelled images or a table of classes by name, path or object.
        size: side in pixels that images are brought to.
        target: column of the table to predict.
        limit: only this many training examples.
        members, every: weights that are averaged, and the steps between two of them.
        width: units of each of three hidden layers.
    """
    source = open_data(data, "images", "table", size=size, target=target)
    method = Snapshots(perceptron(source, width), every=every, num_members=members)
    return fit(method, some(source, limit, batch, seed), {"net": SGD(lr, momentum=0.9)}, steps=steps, seed=seed,
               evaluate=evaluations(method, source))


def perceptron(source: Source, width: int) -> nn.Sequential:
    """Three hidden layers."""
    first = [Standardize(source.mean, source.std)] if source.kind == "images" else []
    net = mlp(math.prod(source.shape), width, width, width, class_count(source))
    return nn.Sequential(*first, nn.Flatten(), initialize(net, kaiming))


def together(source: Source, members: int, width: int, lr: float, train: StackedBatches, steps: int, seed: int) -> Run:
    """The members' fit, side by side, and the evaluation that they share."""
    method = Ensemble(StackedMLPs([perceptron(source, width) for _ in range(members)]))
    return fit(method, train, Adam(lr), steps=steps, seed=seed, evaluate=[*evaluations(method, source), averaged(source)])


def some(source: Source, limit: int | None, batch: int, seed: int) -> Any:
    """The training examples, or the first of them."""
    train = source.train(batch=batch, seed=seed)
    return train if limit is None else train.take(range(min(limit, source.count)))


def mixed(source: Source, limit: int | None, members: int, batch: int, seed: int, resample: bool = False) -> StackedBatches:
    """The first `limit` examples in an order of its own for each member; or, resampled, a bootstrap sample of them for each."""
    generator, count = torch.Generator().manual_seed(seed), min(limit or source.count, source.count)
    rows = [bootstrap(count, generator) if resample else torch.arange(count) for _ in range(members)]
    return StackedBatches([source.train(batch=batch, seed=members * seed + j).take(own) for j, own in enumerate(rows)])


def averaged(source: Source) -> Callable[[Ensemble], dict[str, float]]:
    """An evaluation: accuracy of the one net whose weights are the members' mean, and how far it lies below the mean member."""

    def measure(method: Ensemble) -> dict[str, float]:
        test = source.test()
        mean = evaluate(Classifier(average_weights(method.members.apart())), test)["accuracy"]
        return {"averaged_accuracy": mean, "averaged_drop": evaluate(method, test)["member_accuracy"] - mean}

    return measure


def restarts(cycles: int) -> Schedule:
    """Half a cosine from the peak rate to zero, `cycles` times in a run (Loshchilov & Hutter 2017)."""
    return partial(restarted, fall=cosine(), cycles=cycles)


def restarted(step: int, total: int | None, *, fall: Schedule, cycles: int) -> float:
    """The factor of a schedule that begins anew `cycles` times in a run."""
    length = max(1, (total or 0) // cycles)
    return fall(step % length, length)
