"""Convolutional nets fitted to the size of the images: a share of the paper's widths, a stem for the resolution.

    net = fitted_vgg((3, 32, 32), num_classes=10, scale=0.25)

From 64 pixels a side a stem lowers the resolution, as the papers' do for 224; smaller images keep it.
C channels, H x W pixels, K classes.
"""

from torch import nn

from deepcanon.layers.local_response import LocalResponseNorm
from deepcanon.layers.norm import BatchNorm2d
from deepcanon.nets.alexnet import AlexNet
from deepcanon.nets.conv_net import ConvNet
from deepcanon.nets.densenet import DenseNet
from deepcanon.nets.googlenet import GoogLeNet
from deepcanon.nets.resnet import large_stem, small_stem
from deepcanon.nets.vgg import vgg_net

LARGE = 64
Shape = tuple[int, int, int]


def fitted_alexnet(shape: Shape, num_classes: int, *, scale: float = 0.25, dropout: float = 0.5,
                   standardize: nn.Module | None = None) -> AlexNet:
    """AlexNet in two towers with local response normalisation, for square images of 15 pixels or more."""
    widths = [2 * max(1, round(share(scale) * w / 2)) for w in (96, 256, 384, 384, 256)]
    return AlexNet(num_classes, in_channels=shape[0], image_size=side(shape), widths=widths, groups=2,
                   hidden=[max(1, round(4096 * scale))] * 2, response=LocalResponseNorm, dropout=dropout,
                   standardize=standardize)


def fitted_vgg(shape: Shape, num_classes: int, *, scale: float = 0.25, dropout: float = 0.5,
               standardize: nn.Module | None = None) -> ConvNet:
    """VGG-11 with batch normalisation and one hidden layer, for square images."""
    width, hidden = (max(8, round(share(scale) * w)) for w in (64, 1024))
    return vgg_net(11, num_classes, in_channels=shape[0], image_size=side(shape), width=width,
                   hidden=[hidden], norm=BatchNorm2d, dropout=dropout, standardize=standardize)


def fitted_googlenet(shape: Shape, num_classes: int, *, scale: float = 0.25, dropout: float = 0.4,
                     standardize: nn.Module | None = None) -> GoogLeNet:
    """GoogLeNet with batch normalisation, for images of any size."""
    return GoogLeNet(num_classes, in_channels=shape[0], width=share(scale), small=min(shape[1:]) < LARGE,
                     norm=BatchNorm2d, dropout=dropout, standardize=standardize)


def fitted_densenet(shape: Shape, num_classes: int, *, scale: float = 0.25, dropout: float = 0.0,
                    standardize: nn.Module | None = None) -> DenseNet:
    """A DenseNet of three blocks of six layers, for images of any size."""
    growth = max(2, round(32 * share(scale)))
    stem = (small_stem if min(shape[1:]) < LARGE else large_stem)(shape[0], 2 * growth)
    return DenseNet(stem, 2 * growth, (6, 6, 6), num_classes, growth=growth, in_channels=shape[0],
                    dropout=dropout, standardize=standardize)


def side(shape: Shape) -> int:
    """H = W. Raises ValueError for images that are not square."""
    if shape[1] != shape[2]:
        raise ValueError(f"this net reads square images, got {shape[1]} x {shape[2]}")
    return shape[1]


def share(scale: float) -> float:
    """The scale. Raises ValueError outside (0, 1]."""
    if not 0 < scale <= 1:
        raise ValueError(f"expected a scale as a share of the paper's widths in (0, 1], got {scale}")
    return scale
