"""The standard convolutional network (LeCun et al. 1998): convolutions and poolings, then hidden layers.

    (conv -> ReLU) ... -> pool N -> (conv -> ReLU) ... -> pool N -> ... -> hidden -> ... -> logits
    H x W x C    H x W x C'       H/N x W/N x C'

A convolution of 3 x 3 with a border of one zero keeps the resolution, a pooling divides it by N. With global
pooling the last maps are averaged over space instead of laid out in a row: any image size, and few
parameters in the hidden layers (Lin et al. 2014, arXiv 1312.4400).
B batch, C channels, H x W pixels, K classes.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import image_batch
from deepcanon.layers.pooling import global_average_pool
from deepcanon.nets.resnet import he_normal


class ConvNet(nn.Module):
    """Stages of convolutions, each ended by a pooling, then hidden layers and one linear read-out.

    Args:
        stages: channels of the convolutions of each stage.
        num_classes: K.
        in_channels: C.
        image_size: H = W, which decides the width of the first hidden layer; any with `global_pool`.
        hidden: units of the hidden layers.
        pool: N, side of the windows of the max pooling.
        norm: of a convolution's maps, e.g. `nn.BatchNorm2d`; it then brings the bias.
        dropout: after every hidden layer.
        global_pool: average the last maps over space.
        standardize: first layer, from raw pixels to centred ones.

    Raises:
        ValueError: no stage, or images too small for so many poolings.
    """

    def __init__(
        self,
        stages: Sequence[Sequence[int]],
        num_classes: int,
        *,
        in_channels: int = 3,
        image_size: int = 224,
        hidden: Sequence[int] = (4096, 4096),
        pool: int = 2,
        norm: Callable[[int], nn.Module] | None = None,
        dropout: float = 0.5,
        global_pool: bool = False,
        standardize: nn.Module | None = None,
    ):
        super().__init__()
        side = image_size // pool ** len(stages)
        if not stages or (side < 1 and not global_pool):
            raise ValueError(
                f"{len(stages)} poolings of {pool} x {pool} need images of {pool ** len(stages)} pixels "
                f"or more, got image_size={image_size}"
            )
        self.in_channels, self.image_size = in_channels, None if global_pool else (image_size, image_size)
        self.standardize = standardize or nn.Identity()
        ends = [in_channels, *(widths[-1] for widths in stages)]
        self.stages = nn.Sequential(*(stage([c, *widths], pool, norm) for c, widths in zip(ends, stages)))
        units = [ends[-1] * (1 if global_pool else side * side), *hidden]
        layers = [
            layer
            for sizes in pairwise(units)
            for layer in (nn.Linear(*sizes), nn.ReLU(), nn.Dropout(dropout))
        ]
        self.hidden, self.head = nn.Sequential(*layers), nn.Linear(units[-1], num_classes)
        self.apply(he_normal)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return self.head(self.features(x))

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """The last hidden layer; without one, the last maps."""
        maps = self.stages(self.standardize(image_batch(x, self.in_channels, self.image_size)))
        return self.hidden(global_average_pool(maps) if self.image_size is None else maps.flatten(1))


def stage(channels: Sequence[int], pool: int, norm: Callable[[int], nn.Module] | None) -> nn.Sequential:
    """Convolutions with these channels one after the other, each with its ReLU, and a pooling."""
    layers: list[nn.Module] = []
    for c, out in pairwise(channels):
        layers += [
            nn.Conv2d(c, out, 3, padding=1, bias=norm is None),
            *([norm(out)] if norm else []),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.MaxPool2d(pool))
