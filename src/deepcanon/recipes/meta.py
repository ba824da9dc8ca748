"""Runs of meta-learning: tasks of the test split are of classes that no training task had."""

import torch.nn.functional as F
from torch import Generator, Tensor

from deepcanon.data import Sinusoids, augment, episodes
from deepcanon.engine import Adam, Factory, Muon, Run, at_least, at_most, cosine, fit, recipe
from deepcanon.meta.maml import MAML
from deepcanon.nets.conv4 import Conv4
from deepcanon.nets.mlp import mlp

SIDE = 28       # of the pictures that a net sees


@recipe(target={"accuracy": at_least(0.90)}, published={"accuracy": 0.987}, source="Finn et al. 2017, 1,200 characters, 60,000 steps",
        paper="Finn et al. 2017", rows=["MGL-01", "MGL-02", "MGL-06"])
def maml_omniglot(width: int = 32, inner_lr: float = 0.4, inner_steps: int = 1, test_lr: float = 0.2, lr: float = 5e-3, tasks: int = 16,
                  steps: int = 8_000, seed: int = 0) -> Run:
    """MAML learns to read five characters of an unseen alphabet from one example of each; accuracy over 600 tasks."""
    method = MAML(Conv4(width=width, strided=True, size=SIDE), inner_lr=inner_lr, steps=inner_steps, test_steps=10, test_lr=test_lr, vectorized=True)
    return fit_tasks(method, Muon(lr, schedule=cosine()), tasks, steps, seed)


@recipe(target={"accuracy": at_least(0.90)}, seconds=300, paper="Finn et al. 2017", rows=["MGL-06"])
def fomaml_omniglot(width: int = 32, inner_lr: float = 0.1, inner_steps: int = 3, lr: float = 5e-3, tasks: int = 16, steps: int = 1_000,
                    seed: int = 0) -> Run:
    """First-order MAML, which does not differentiate its inner gradients, on the tasks of `maml_omniglot`."""
    method = MAML(Conv4(width=width, strided=True, size=SIDE), inner_lr=inner_lr, steps=inner_steps, test_steps=5, first_order=True, vectorized=True)
    return fit_tasks(method, Muon(lr, schedule=cosine()), tasks, steps, seed)


@recipe(target={"accuracy": at_least(0.90)}, seconds=300, paper="Raghu et al. 2020", rows=["MGL-06"])
def anil_omniglot(width: int = 32, inner_lr: float = 0.4, inner_steps: int = 1, lr: float = 5e-3, tasks: int = 16, steps: int = 1_000,
                  seed: int = 0) -> Run:
    """ANIL, which adapts the last layer alone, on the tasks of `maml_omniglot`."""
    net = Conv4(width=width, strided=True, size=SIDE)
    method = MAML(net.head, body=net.body, inner_lr=inner_lr, steps=inner_steps, test_steps=3, vectorized=True)
    return fit_tasks(method, Muon(lr, schedule=cosine()), tasks, steps, seed)


@recipe(target={"accuracy": at_least(0.95)}, published={"accuracy": 0.987}, source="Finn et al. 2017, 1,200 characters",
        paper="Finn et al. 2017", rows=["MGL-06"])
def maml_omniglot_full(width: int = 64, inner_lr: float = 0.4, inner_steps: int = 1, lr: float = 1e-3, tasks: int = 32, steps: int = 60_000,
                       seed: int = 0) -> Run:
    """MAML on Omniglot at the paper's setting: 64 filters, 32 tasks a step, 60,000 steps; sized for a GPU."""
    method = MAML(Conv4(width=width, strided=True, size=SIDE), inner_lr=inner_lr, steps=inner_steps, test_steps=3, vectorized=True)
    return fit_tasks(method, Adam(lr, schedule=cosine()), tasks, steps, seed, varied=False)


@recipe(target={"error": at_most(1.0)}, seconds=30, paper="Finn et al. 2017", rows=["MGL-01", "MGL-06"])
def maml_sinusoid(hidden: int = 40, inner_lr: float = 0.01, shots: int = 10, lr: float = 3e-3, tasks: int = 25, steps: int = 3_000,
                  seed: int = 0) -> Run:
    """MAML learns to fit a sine curve to ten points by one gradient step; squared error on unseen curves."""
    method = MAML(mlp(1, hidden, hidden, 1), inner_lr=inner_lr, error=F.mse_loss, vectorized=True)
    test = Sinusoids(shots=shots, queries=100, tasks=100, seed=seed + 1)
    return fit(method, Sinusoids(shots=shots, tasks=tasks, seed=seed), Adam(lr, schedule=cosine()), steps=steps, seed=seed, evaluate=test)


def fit_tasks(method: MAML, optimizer: Factory, tasks: int, steps: int, seed: int, varied: bool = True) -> Run:
    """5-way 1-shot; in training a class turned by a quarter, half or three quarters, or mirrored, is a further class, and examples are distorted.

    Pictures are read, and distorted, at twice the side that the net sees: thin lines stay as sharp as they are in the test.
    """
    distort = augment.affine(degrees=10.0, translate=0.07, scale=(0.85, 1.15), shear=10.0, interpolation="bicubic")
    train = episodes("omniglot", size=2 * SIDE, queries=2, tasks=tasks, rotations=True, per_class=augment.flip() if varied else None,
                     augment=augment.compose(distort, halve) if varied else halve, seed=seed)
    test = episodes("omniglot", size=2 * SIDE, split="test", queries=15, tasks=20, count=600, augment=halve, seed=seed)
    return fit(method, train, optimizer, steps=steps, seed=seed, evaluate=test)


def halve(x: augment.Batch, _: Generator) -> Tensor:
    """Half the side, by means of four pixels."""
    return F.avg_pool2d(x, 2)
