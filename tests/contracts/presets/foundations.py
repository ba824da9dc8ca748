"""Presets of the family foundations."""

import torch
from torch import nn

from deepcanon.foundations.ensembles import Ensemble, MonteCarloDropout, SharedTrunk
from deepcanon.foundations.linear import LinearClassifier
from deepcanon.foundations.regression import Regressor
from deepcanon.foundations.snapshots import Snapshots
from deepcanon.nets.members import StackedMLPs
from deepcanon.nets.perceptron import mlp
from tests.contracts.presets.common import Preset, flat, images


def dropping() -> MonteCarloDropout:
    """On 8x8 images, three masks."""
    return MonteCarloDropout(nn.Sequential(nn.Flatten(), mlp(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 4)), 3)


def rows(n: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Four numbers, and their sum beside noise."""
    x = torch.randn(n, 4)
    return x, x.sum(1) + 0.1 * torch.randn(n)


PRESETS = {
    "regression": Preset(lambda: Regressor(mlp(4, 16, 1), mean=1.0, std=2.0), rows, verbs={"predict": rows()[:1]}),
    "linear": Preset(lambda: LinearClassifier(64, 4), lambda: images(8, n=15), verbs={"predict": (images(8)[0],), "templates": (1, 8, 8)}),
    "ensemble": Preset(lambda: Ensemble(StackedMLPs([flat(64, 8, 4) for _ in range(3)])), lambda: images(8), verbs={"predict": (images(8)[0],)}),
    "shared_trunk": Preset(lambda: SharedTrunk(flat(64, 8), [mlp(8, 8, 4), mlp(8, 4)]), lambda: images(8), verbs={"predict": (images(8)[0],)}),
    "mc_dropout": Preset(dropping, lambda: images(8), verbs={"predict": (images(8)[0],)}),
    "snapshots": Preset(lambda: Snapshots(flat(64, 8, 4), every=9), lambda: images(8), learns="net", frozen=("kept",)),
}
