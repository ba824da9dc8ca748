"""Presets of the family ssl."""

import torch
from torch import Tensor

from deepcanon.nets.conv4 import Conv4
from deepcanon.nets.perceptron import mlp
from deepcanon.ssl.byol import BYOL
from tests.contracts.presets.common import Preset, images


def views(n: int = 16) -> tuple[Tensor, Tensor]:
    """Two noisy views of each image."""
    x, y = images(16, n=n)
    return torch.stack([x, x + 0.1 * torch.randn_like(x)], 1), y


def small_byol() -> BYOL:
    """On 16x16 images."""
    return BYOL(Conv4(width=8, running_statistics=True).body, projector=mlp(8, 16, 6), predictor=mlp(6, 16, 6))


PRESETS = {
    "byol": Preset(small_byol, views, verbs={"encode": (images(16)[0],)}, frozen=("teacher",)),
}
