"""VGG (Simonyan & Zisserman 2015, arXiv 1409.1556): depth from small filters alone.

    stage s    n_s convolutions 3x3 of width w_s, ReLU after each, max pooling 2x2
    widths     w = 64, 128, 256, 512, 512, then 4096, 4096, K
    11 layers  n = 1, 1, 2, 2, 2      13  2, 2, 2, 2, 2      16  2, 2, 3, 3, 3      19  2, 2, 4, 4, 4

Two convolutions of 3x3 see 5x5, three 7x7, with fewer parameters and a nonlinearity between. Most
activations are in the first two convolutions, most parameters, 74 % of VGG-16's 138,357,544, in the first
hidden layer.
"""

from collections.abc import Callable, Sequence

from torch import nn

from deepcanon.nets.conv_net import ConvNet

WIDTHS = (64, 128, 256, 512, 512)
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg_net(
    depth: int = 16,
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    image_size: int = 224,
    width: int = 64,
    hidden: Sequence[int] = (4096, 4096),
    norm: Callable[[int], nn.Module] | None = None,
    dropout: float = 0.5,
    standardize: nn.Module | None = None,
) -> ConvNet:
    """VGG-11, 13, 16 or 19: 132,863,336, 133,047,848, 138,357,544 and 143,667,240 parameters for ImageNet.

    Args:
        depth: layers with weights.
        width: channels of the first stage; the others are 2, 4, 8 and 8 times as wide.
        norm: batch normalisation after every convolution, say, which the paper lacks.

    Images below 32 pixels get as many stages as they can be halved.

    Raises:
        ValueError: another depth, or images below 2 pixels.
    """
    if depth not in DEPTHS:
        raise ValueError(f"expected a depth of {', '.join(map(str, DEPTHS))} layers, got {depth}")
    count = min(len(WIDTHS), max(1, image_size.bit_length() - 1))
    stages = [[w * width // 64] * n for w, n in zip(WIDTHS[:count], DEPTHS[depth])]
    return ConvNet(
        stages,
        num_classes,
        in_channels=in_channels,
        image_size=image_size,
        hidden=hidden,
        norm=norm,
        dropout=dropout,
        standardize=standardize,
    )
