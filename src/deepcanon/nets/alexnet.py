"""AlexNet (Krizhevsky, Sutskever & Hinton 2012), in its two forms.

    224 -> conv 11/4 -> 55 -> pool 3/2 -> 27 -> conv 5 -> 27 -> pool 3/2 -> 13
        -> conv 3 -> conv 3 -> conv 3 -> 13 -> pool 3/2 -> 6 -> 4096 -> 4096 -> K

    two towers   96, 256, 384, 384, 256 maps; the second, fourth and fifth convolution in two groups, one a
                 GPU, which do not see each other; local response normalisation after the first two
                 poolings: 60,965,224 parameters
    one tower    64, 192, 384, 256, 256 maps, no normalisation (Krizhevsky 2014, arXiv 1404.5997): 61,100,840

ReLU after every layer but the last, dropout before the two hidden ones. The first convolution has a border
of two zeros: without it a side of 224 pixels would become 54, and 55 asks for 227.
B batch, C channels, H x W pixels, K classes.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import image_batch
from deepcanon.layers.convolution import output_size
from deepcanon.layers.local_response import LocalResponseNorm

FIRST = (11, 4, 2)  # kernel, stride and border of the first convolution, for images of 224 pixels
SMALL = (5, 1, 2)  # the same for images of about 32 pixels


class AlexNet(nn.Module):
    """Five convolutions with three poolings, two hidden layers, one linear read-out.

    Args:
        num_classes: K.
        in_channels: C.
        image_size: H = W.
        widths: maps of the five convolutions.
        hidden: units of the hidden layers.
        groups: towers of the second, fourth and fifth convolution.
        first: kernel, stride and border of the first convolution; None: 11, 4, 2, below 64 pixels 5, 1, 2.
        response: makes the normalisation after the first two poolings; None is none.
        dropout: before each hidden layer.
        standardize: first layer, from raw pixels to centred ones.

    Raises:
        ValueError: images too small for three poolings, or widths that the groups do not divide.
    """

    def __init__(self, num_classes: int = 1000, *, in_channels: int = 3, image_size: int = 224,
                 widths: Sequence[int] = (64, 192, 384, 256, 256), hidden: Sequence[int] = (4096, 4096),
                 groups: int = 1, first: tuple[int, int, int] | None = None,
                 response: Callable[[], nn.Module] | None = None, dropout: float = 0.5,
                 standardize: nn.Module | None = None):
        super().__init__()
        self.in_channels, self.size = in_channels, (image_size, image_size)
        kernel, stride, border = first or (FIRST if image_size >= 64 else SMALL)
        side = last_side(image_size, kernel, stride, border)
        c1, c2, c3, c4, c5 = widths
        normalize = response or nn.Identity
        self.standardize = standardize or nn.Identity()
        self.maps = nn.Sequential(
            nn.Conv2d(in_channels, c1, kernel, stride, border), nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2), normalize(),
            nn.Conv2d(c1, c2, 5, padding=2, groups=groups), nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2), normalize(),
            nn.Conv2d(c2, c3, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(c3, c4, 3, padding=1, groups=groups), nn.ReLU(inplace=True),
            nn.Conv2d(c4, c5, 3, padding=1, groups=groups), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        f1, f2 = hidden
        self.hidden = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(c5 * side * side, f1),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(f1, f2),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Linear(f2, num_classes)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return self.head(self.features(x))

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """The last hidden layer."""
        return self.hidden(
            self.maps(self.standardize(image_batch(x, self.in_channels, self.size))).flatten(1)
        )


def last_side(image_size: int, kernel: int, stride: int, border: int) -> int:
    """Pixels a side after the first convolution and the three poolings."""
    side = image_size
    try:
        for window in ((kernel, stride, border), (3, 2), (3, 2), (3, 2)):
            side = output_size(side, *window)
    except ValueError:
        raise ValueError(
            f"images of {image_size} pixels are too small for AlexNet's three poolings: give it 15 or more"
        ) from None
    return side


def two_towers(
    num_classes: int = 1000,
    *,
    in_channels: int = 3,
    image_size: int = 224,
    dropout: float = 0.5,
    standardize: nn.Module | None = None,
) -> AlexNet:
    """The form of the paper: two groups, and local response normalisation. 60,965,224 parameters for
    ImageNet.
    """
    return AlexNet(
        num_classes,
        in_channels=in_channels,
        image_size=image_size,
        widths=(96, 256, 384, 384, 256),
        groups=2,
        response=LocalResponseNorm,
        dropout=dropout,
        standardize=standardize,
    )
