"""Maps of features for detectors: a residual net (see `resnet`) without its head, of stride 8.

stem, stride 2 (and a pooling, for large images) -> three stages of width, 2 width, 4 width -> maps
"""

import torch
from torch import nn

from deepcanon.nets.resnet import basic, conv_norm, he_normal

STRIDE = 8


def residual_maps(
    in_channels: int, width: int = 32, *, large: bool = False, standardize: nn.Module | None = None
) -> nn.Sequential:
    """(B, C, H, W) -> (B, 4 width, H / 8, W / 8).

    Args:
        in_channels: C.
        width: of the first stage.
        large: halve the resolution once more before the first stage, in place of the last: four times less
            work on images of 200 pixels a side and more.
        standardize: first layer, from raw pixels to centred ones.
    """
    if width < 1:
        raise ValueError(f"expected a width of 1 or more, got {width}")
    layers: list[nn.Module] = [conv_norm(in_channels, width, 3, 2), nn.ReLU(inplace=True)]
    layers += [nn.MaxPool2d(3, 2, 1)] if large else []
    channels = width
    for stride, out in zip((1, 2, 1) if large else (1, 2, 2), (width, 2 * width, 4 * width), strict=True):
        block, channels = basic(channels, out, stride)
        layers.append(block)
    net = nn.Sequential(standardize or nn.Identity(), *layers)
    net.apply(he_normal)
    return net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
