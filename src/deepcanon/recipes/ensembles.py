"""Runs of ensembles: what several nets, or several stages of one, are worth beside one of them."""

from collections.abc import Callable

import torch
from torch import nn

from deepcanon.data import images
from deepcanon.data.batches import StackedBatches
from deepcanon.engine import SGD, Adam, Run, at_least, cosine, evaluate, fit, recipe
from deepcanon.engine.schedules import Schedule
from deepcanon.foundations.bagging import bootstrap
from deepcanon.foundations.ensembles import Ensemble
from deepcanon.foundations.initialization import initialize, kaiming
from deepcanon.foundations.snapshots import Snapshots, average_weights
from deepcanon.layers.norm import Standardize
from deepcanon.nets.members import StackedMLPs
from deepcanon.nets.mlp import mlp
from deepcanon.vision.classify import Classifier


@recipe(target={"nll_gain": at_least(0.0), "accuracy_gain": at_least(0.0), "averaged_drop": at_least(0.3)}, seconds=60,
        paper="Lakshminarayanan et al. 2017", rows=["FND-42", "FND-45"])
def deep_ensemble_mnist2000(members: int = 10, lr: float = 1e-3, batch: int = 64, steps: int = 900, seed: int = 0) -> Run:
    """Ten perceptrons from ten starts on 2,000 MNIST digits: what averaging their predictions gains, and averaging their weights loses."""
    method, test = perceptrons("mnist", members), images("mnist", split="test", batch=1_000)
    return fit(method, mixed("mnist", 2_000, members, batch, seed), Adam(lr), steps=steps, seed=seed, evaluate=[test, averaged(test)])


@recipe(target={"nll_gain": at_least(0.0), "accuracy_gain": at_least(0.0), "averaged_drop": at_least(0.3)}, seconds=20,
        paper="Lakshminarayanan et al. 2017", rows=["FND-42", "FND-45"])
def deep_ensemble_digits(members: int = 5, lr: float = 3e-3, batch: int = 64, steps: int = 400, seed: int = 0) -> Run:
    """Five perceptrons from five starts on scikit-learn's digits."""
    method, test = perceptrons("digits", members), images("digits", split="test", batch=360)
    return fit(method, mixed("digits", 1_437, members, batch, seed), Adam(lr), steps=steps, seed=seed, evaluate=[test, averaged(test)])


@recipe(target={"nll_gain": at_least(0.0), "accuracy_gain": at_least(0.0)}, seconds=60, paper="Breiman 1996", rows=["FND-46"])
def bagging_mnist2000(members: int = 10, lr: float = 1e-3, batch: int = 64, steps: int = 900, seed: int = 0) -> Run:
    """Ten perceptrons, each on its own bootstrap sample of 2,000 MNIST digits."""
    method, test = perceptrons("mnist", members), images("mnist", split="test", batch=1_000)
    data = mixed("mnist", 2_000, members, batch, seed, resample=True)
    return fit(method, data, Adam(lr), steps=steps, seed=seed, evaluate=[test, averaged(test)])


@recipe(target={"nll_gain": at_least(0.0), "accuracy_gain": at_least(0.0)}, seconds=20, paper="Breiman 1996", rows=["FND-46"])
def bagging_digits(members: int = 5, lr: float = 3e-3, batch: int = 64, steps: int = 400, seed: int = 0) -> Run:
    """Five perceptrons, each on its own bootstrap sample of scikit-learn's digits."""
    method, test = perceptrons("digits", members), images("digits", split="test", batch=360)
    data = mixed("digits", 1_437, members, batch, seed, resample=True)
    return fit(method, data, Adam(lr), steps=steps, seed=seed, evaluate=[test, averaged(test)])


@recipe(target={"nll_gain": at_least(0.0), "accuracy_gain": at_least(0.0)}, seconds=60, paper="Huang et al. 2017", rows=["FND-44"])
def snapshot_ensemble_mnist2000(members: int = 5, lr: float = 0.1, batch: int = 64, steps: int = 1_500, seed: int = 0) -> Run:
    """One perceptron on 2,000 MNIST digits, its rate five times let down and raised again; the five valleys as an ensemble."""
    method, cycle = Snapshots(perceptron("mnist"), every=max(1, steps // members), num_members=members), restarts(members)
    train, test = images("mnist", batch=batch, seed=seed).take(range(2_000)), images("mnist", split="test", batch=1_000)
    return fit(method, train, {"net": SGD(lr, schedule=cycle)}, steps=steps, seed=seed, evaluate=test)


@recipe(target={"nll_gain": at_least(0.0), "accuracy_gain": at_least(0.0)}, seconds=20, paper="Huang et al. 2017", rows=["FND-44"])
def snapshot_ensemble_digits(members: int = 5, lr: float = 0.1, batch: int = 64, steps: int = 1_000, seed: int = 0) -> Run:
    """One perceptron on scikit-learn's digits, its rate five times let down and raised again; the five valleys as an ensemble."""
    method, cycle = Snapshots(perceptron("digits"), every=max(1, steps // members), num_members=members), restarts(members)
    train, test = images("digits", batch=batch, seed=seed), images("digits", split="test", batch=360)
    return fit(method, train, {"net": SGD(lr, schedule=cycle)}, steps=steps, seed=seed, evaluate=test)


@recipe(target={"averaged_gain": at_least(-0.01), "nll_gain": at_least(0.0)}, seconds=60, paper="Izmailov et al. 2018", rows=["FND-45"])
def weight_average_mnist2000(members: int = 10, lr: float = 0.05, batch: int = 64, steps: int = 900, seed: int = 0) -> Run:
    """One perceptron on 2,000 MNIST digits at a constant rate; the mean of its weights after each of the last ten epochs."""
    train, test = images("mnist", batch=batch, seed=seed).take(range(2_000)), images("mnist", split="test", batch=1_000)
    method = Snapshots(perceptron("mnist"), every=31, num_members=members)
    return fit(method, train, {"net": SGD(lr, momentum=0.9)}, steps=steps, seed=seed, evaluate=test)


@recipe(target={"averaged_gain": at_least(-0.01), "nll_gain": at_least(0.0)}, seconds=20, paper="Izmailov et al. 2018", rows=["FND-45"])
def weight_average_digits(members: int = 10, lr: float = 0.05, batch: int = 64, steps: int = 600, seed: int = 0) -> Run:
    """One perceptron on scikit-learn's digits at a constant rate; the mean of its weights after each of the last ten epochs."""
    train, test = images("digits", batch=batch, seed=seed), images("digits", split="test", batch=360)
    method = Snapshots(perceptron("digits"), every=22, num_members=members)
    return fit(method, train, {"net": SGD(lr, momentum=0.9)}, steps=steps, seed=seed, evaluate=test)


def perceptron(source: str) -> nn.Sequential:
    """Three hidden layers on small images."""
    pixels, width, standardize = {"digits": (64, 32, Standardize(0.3, 0.38)), "mnist": (784, 128, Standardize(0.1307, 0.3081))}[source]
    return nn.Sequential(standardize, nn.Flatten(), initialize(mlp(pixels, width, width, width, 10), kaiming))


def perceptrons(source: str, members: int) -> Ensemble:
    """Perceptrons from different starts, side by side."""
    return Ensemble(StackedMLPs([perceptron(source) for _ in range(members)]))


def mixed(source: str, limit: int, members: int, batch: int, seed: int, resample: bool = False) -> StackedBatches:
    """The first `limit` images in an order of its own for each member; or, resampled, a bootstrap sample of them for each."""
    generator = torch.Generator().manual_seed(seed)
    rows = [bootstrap(limit, generator) if resample else torch.arange(limit) for _ in range(members)]
    return StackedBatches([images(source, batch=batch, seed=members * seed + j).take(own) for j, own in enumerate(rows)])


def averaged(test) -> Callable[[Ensemble], dict[str, float]]:
    """An evaluation: accuracy of the one net whose weights are the members' mean, and how far it lies below the mean member."""

    def measure(method: Ensemble) -> dict[str, float]:
        mean = evaluate(Classifier(average_weights(method.members.apart())), test)["accuracy"]
        return {"averaged_accuracy": mean, "averaged_drop": evaluate(method, test)["member_accuracy"] - mean}

    return measure


def restarts(cycles: int) -> Schedule:
    """Half a cosine from the peak rate to zero, `cycles` times in a run (Loshchilov & Hutter 2017)."""
    fall = cosine()

    def factor(step: int, total: int | None) -> float:
        length = max(1, (total or 0) // cycles)
        return fall(step % length, length)

    return factor
