"""Presets of the family explain."""

import torch
from torch import nn

from deepcanon.explain.fast_style import FastStyle
from deepcanon.nets.style_net import StyleNet
from tests.contracts.presets.common import Preset, images


def fast_style() -> FastStyle:
    """On 8x8 images, in two stages of random filters."""
    stages = [nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), nn.Sequential(nn.Conv2d(4, 8, 3, 2), nn.ReLU())]
    return FastStyle(StyleNet(1, width=4, blocks=1), stages, torch.rand(1, 1, 8, 8))


PRESETS = {
    "fast_style": Preset(fast_style, lambda: images(8), verbs={"predict": (images(8)[0],)}, frozen=("stages",)),
}
