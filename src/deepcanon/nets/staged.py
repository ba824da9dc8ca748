"""A plain convolutional net in three stages, to be looked into: no shortcuts, images of any size.

    stage i:  (pool 2) -> conv 3x3 -> conv 3x3, 2^i width maps, each with batch norm and ReLU
    then means over the positions, one linear layer

K classes, C channels.
"""

from torch import nn

from deepcanon.layers.norm import BatchNorm2d


def three_stages(
    width: int, num_classes: int, in_channels: int = 3, *, standardize: nn.Module | None = None
) -> nn.Sequential:
    """The net; its entries 0, 1 and 2 are the stages, 3 is the head.

    Args:
        width: maps of the first stage.
        num_classes: K.
        in_channels: C.
        standardize: first layer, from raw pixels to centred ones.
    """
    stages, channels = [], in_channels
    for i in range(3):
        out, layers = (
            width * 2**i,
            [standardize or nn.Identity()] if i == 0 else [nn.MaxPool2d(2, ceil_mode=True)],
        )
        for c in (channels, out):
            layers += [nn.Conv2d(c, out, 3, padding=1, bias=False), BatchNorm2d(out), nn.ReLU()]
        stages.append(nn.Sequential(*layers))
        channels = out
    return nn.Sequential(
        *stages, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))
    )
