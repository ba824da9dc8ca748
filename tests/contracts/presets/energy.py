"""Presets of the family energy."""

from functools import partial

import torch
from torch import Tensor, nn

from deepcanon.energy.ebm import EBM
from deepcanon.energy.hopfield import Hopfield
from deepcanon.energy.langevin_dynamics import langevin
from deepcanon.nets.perceptron import mlp
from tests.contracts.presets.common import Preset, images


def uniform(n: int) -> Tensor:
    """Where chains begin."""
    return torch.rand(n, 1, 8, 8)


def small_ebm() -> EBM:
    """On 8x8 images, sixteen chains."""
    net = nn.Sequential(nn.Flatten(), mlp(64, 32, 1, activation=nn.SiLU))
    return EBM(net, uniform, sampler=partial(langevin, steps=3, step_size=0.01), chains=16, alpha=0.1)


def memory() -> Hopfield:
    """Of sixteen units, with other patterns in it than it learns."""
    return Hopfield(16).fit(2.0 * torch.randint(2, (4, 16)) - 1)


PRESETS = {
    "ebm": Preset(small_ebm, lambda: images(8), verbs={"sample": (3,)}),
    "hopfield": Preset(memory, lambda: (2.0 * torch.randint(2, (8, 16)) - 1,), verbs={"reconstruct": (torch.ones(2, 16),)}),
}
