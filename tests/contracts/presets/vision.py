"""Presets of the family vision."""

import torch
from torch import nn

from deepcanon.explain.fast_style import FastStyle
from deepcanon.nets.lenet import LeNet
from deepcanon.nets.resnet import resnet_cifar
from deepcanon.nets.style_net import StyleNet
from deepcanon.vision.classify import Classifier
from tests.contracts.presets.common import Preset, images


def fast_style() -> FastStyle:
    """On 8x8 images, in two stages of random filters."""
    stages = [nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), nn.Sequential(nn.Conv2d(4, 8, 3, 2), nn.ReLU())]
    return FastStyle(StyleNet(1, width=4, blocks=1), stages, torch.rand(1, 1, 8, 8))


PRESETS = {
    "lenet": Preset(lambda: Classifier(LeNet(4, image_size=16, widths=(4, 8, 32, 16))), lambda: images(16), verbs={"predict": (images(16)[0],)}),
    "fast_style": Preset(fast_style, lambda: images(8), verbs={"predict": (images(8)[0],)}, frozen=("stages",)),
    "resnet": Preset(lambda: Classifier(resnet_cifar(8, 4, in_channels=3, width=4)), lambda: images(12, 3), verbs={"predict": (images(12, 3)[0],)}),
}
