"""Runs of meta-learning: tasks of the test split are of classes, or curves, that no training task had."""

from typing import Literal

import torch.nn.functional as F
from torch import Generator, Tensor

from deepcanon.data import Images, Sinusoids, augment, episodes
from deepcanon.engine import Adam, Factory, Muon, Run, at_least, at_most, cosine, fit, preset, recipe
from deepcanon.meta.maml import MAML
from deepcanon.nets.conv4 import Conv4
from deepcanon.nets.perceptron import mlp

SIDE = 28       # of the pictures that a net sees


@recipe(paper="Finn et al. 2017; Raghu et al. 2020", systems=["MGL-01", "MGL-02", "MGL-06"], presets=[
    preset("omniglot", steps=8_000, test_lr=0.2, test_steps=10, target={"accuracy": at_least(0.90)},
           published={"accuracy": 0.987}, source="Finn et al. 2017, 1,200 characters, 60,000 steps"),
    preset("omniglot", algorithm="first_order", inner_lr=0.1, inner_steps=3, test_lr=None, test_steps=5, steps=1_000,
           target={"accuracy": at_least(0.90)}, seconds=300),
    preset("omniglot", algorithm="anil", test_lr=None, steps=1_000, test_steps=3, target={"accuracy": at_least(0.90)}, seconds=300),
    preset("omniglot", "full", width=64, lr=1e-3, tasks=32, steps=60_000, test_lr=None, test_steps=3, varied=False,
           target={"accuracy": at_least(0.95)}, published={"accuracy": 0.987}, source="Finn et al. 2017, 1,200 characters")])
def maml(data: Images = "omniglot", algorithm: Literal["maml", "first_order", "anil"] = "maml", *, width: int = 32,
         inner_lr: float = 0.4, inner_steps: int = 1, test_lr: float | None = None, test_steps: int = 3, lr: float = 5e-3,
         tasks: int = 16, steps: int = 1_000, varied: bool = True, test_tasks: int = 600, seed: int = 0) -> Run:
    """MAML learns to tell five classes that it never saw from one example of each; accuracy over unseen tasks.

    Args:
        data: labelled images of many classes (ten or more) by name, folder or object.
        algorithm: maml differentiates its inner steps, first_order does not, anil adapts the last layer alone.
        width: maps of each of four convolutions.
        inner_lr, inner_steps: rate and number of the steps on a task's examples in training.
        test_lr, test_steps: the same in the test, by default inner_lr.
        lr, tasks, steps: peak learning rate, tasks a step, training steps.
        test_tasks: unseen tasks over which the accuracy is measured.
        varied: distort examples, and take mirrored classes for further ones.
    """
    train, test = tasks_of(data, tasks, test_tasks, seed, varied)
    net = Conv4(width=width, in_channels=train.shape[0], strided=True, size=SIDE)
    how = {"inner_lr": inner_lr, "steps": inner_steps, "test_steps": test_steps, "test_lr": test_lr, "vectorized": True}
    method = MAML(net.head, body=net.body, **how) if algorithm == "anil" else MAML(net, first_order=algorithm == "first_order", **how)
    optimizer: Factory = Muon(lr, schedule=cosine()) if varied else Adam(lr, schedule=cosine())
    return fit(method, train, optimizer, steps=steps, seed=seed, evaluate=test)


@recipe(paper="Finn et al. 2017", systems=["MGL-01", "MGL-06"], presets=[
    preset("sinusoids", target={"error": at_most(1.0)}, seconds=30)])
def maml_regression(data: str = "sinusoids", *, hidden: int = 40, inner_lr: float = 0.01, shots: int = 10, lr: float = 3e-3,
                    tasks: int = 25, steps: int = 3_000, seed: int = 0) -> Run:
    """MAML learns to fit a sine curve to ten points by one gradient step; squared error on unseen curves.

    Args:
        data: the curves, "sinusoids".
        hidden: units of each of two hidden layers.
        inner_lr, shots: rate of the inner step, points of a curve that it sees.
        lr, tasks, steps: peak learning rate, curves a step, training steps.
    """
    if data != "sinusoids":
        raise ValueError(f"maml_regression knows the curves 'sinusoids', got '{data}'")
    method = MAML(mlp(1, hidden, hidden, 1), inner_lr=inner_lr, error=F.mse_loss, vectorized=True)
    test = Sinusoids(shots=shots, queries=100, tasks=100, seed=seed + 1)
    return fit(method, Sinusoids(shots=shots, tasks=tasks, seed=seed), Adam(lr, schedule=cosine()), steps=steps, seed=seed, evaluate=test)


def tasks_of(data: Images, tasks: int, test_tasks: int, seed: int, varied: bool):
    """5-way 1-shot; in training a class turned by a quarter, half or three quarters, or mirrored, is a further class, and examples are distorted.

    Pictures are read, and distorted, at twice the side that the net sees: thin lines stay as sharp as they are in the test.
    """
    distort = augment.affine(degrees=10.0, translate=0.07, scale=(0.85, 1.15), shear=10.0, interpolation="bicubic")
    train = episodes(data, size=2 * SIDE, queries=2, tasks=tasks, rotations=True, per_class=augment.flip() if varied else None,
                     augment=(lambda x, generator: halve(distort(x, generator), generator)) if varied else halve, seed=seed)
    return train, episodes(data, size=2 * SIDE, split="test", queries=15, tasks=min(20, test_tasks), count=test_tasks, augment=halve, seed=seed)


def halve(x: augment.Batch, _: Generator) -> Tensor:
    """Half the side, by means of four pixels."""
    return F.avg_pool2d(x, 2)
