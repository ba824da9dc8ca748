"""SegNet, an encoder and its mirror (Badrinarayanan, Kendall & Cipolla 2017, arXiv 1511.00561).

    down:  (e_i, where_i) = pool(convs(e_{i-1}))            the places of the maxima are kept, the maps are not
    up:    d_{i-1} = convs(unpool(d_i, where_i))            zeros but at these places
    logits = conv_3x3(d_0)

The encoder has the convolutions of VGG-16, 2 2 3 3 3 of them between poolings, here with batch normalisation. Places
say where an edge was and not what stood beside it. B batch, C channels, H x W pixels, K classes.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.max_unpool import pool_with_places, unpool
from deepcanon.nets.resnet import conv_norm, he_normal
from deepcanon.nets.segmentation_unet import divisible


class SegNet(nn.Module):
    """Images (B, C, H, W) to logits (B, K, H, W).

    Args:
        num_classes: K.
        in_channels: C.
        widths: channels of each level, from full resolution down; VGG's are 64, 128, 256, 512, 512.
        depths: convolutions of each level.
        standardize: first layer, from raw pixels to centred ones.

    The sides of images must be divisible by `net.stride`, 2^levels.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, *, widths: Sequence[int] = (64, 128, 256, 512, 512),
                 depths: Sequence[int] = (2, 2, 3, 3, 3), standardize: nn.Module | None = None):
        super().__init__()
        if len(depths) != len(widths):
            raise ValueError(f"expected as many depths as widths, got {len(depths)} and {len(widths)}")
        self.in_channels, self.stride = in_channels, 2 ** len(widths)
        self.standardize = standardize or nn.Identity()
        ins = (in_channels, *widths[:-1])
        self.down = nn.ModuleList(convs([c, *[w] * depth]) for c, w, depth in zip(ins, widths, depths))
        outs = (widths[0], *widths[:-1])
        self.up = nn.ModuleList(convs([*[w] * depth, c]) for c, w, depth in zip(outs, widths, depths))
        self.head = nn.Conv2d(widths[0], num_classes, 3, padding=1)
        self.apply(he_normal)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K H W"]:
        h = self.standardize(divisible(x, self.in_channels, self.stride))
        places = []
        for layers in self.down:
            h = layers(h)
            sides = h.shape[2:]
            h, where = pool_with_places(h)
            places.append((where, (sides[0], sides[1])))
        for layers, (where, sides) in zip(reversed(self.up), reversed(places)):
            h = layers(unpool(h, where, sides))
        return self.head(h)


def convs(channels: Sequence[int]) -> nn.Sequential:
    """3x3 convolutions from each number of channels to the next, with batch normalisation and ReLU."""
    layers = [[conv_norm(c, width, 3), nn.ReLU(inplace=True)] for c, width in pairwise(channels)]
    return nn.Sequential(*(layer for pair in layers for layer in pair))
