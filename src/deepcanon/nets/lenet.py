"""LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to document recognition).

    x (B, C, 32, 32) -> conv 5x5 -> pool 2 -> conv 5x5 -> pool 2 -> fc -> fc -> logits (B, K)
             side 32         28        14         10        5

The defaults are the paper's units, 6, 16, 120, 84, 10, with every map of the second convolution connected to all of the first: 61,706 parameters.
B batch, C channels, H x W pixels, K classes.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Layer = Callable[[], nn.Module]
Norm = Callable[[int], nn.Module]


class LeNet(nn.Module):
    """Two convolutions with pooling, two hidden layers, one linear read-out.

    Args:
        num_classes: K.
        in_channels: C.
        image_size: H = W. Images below 32 pixels get a border of two, as the 28x28 digits did in the paper.
        widths: maps of the two convolutions, units of the two hidden layers.
        activation: after every pooling and hidden layer, `nn.Tanh` in the paper.
        pool: takes a window of 2x2, `nn.AvgPool2d` in the paper.
        norm: of a convolution's maps, e.g. `nn.BatchNorm2d`.
        standardize: first layer, from raw pixels to centred ones.
    """

    def __init__(
        self,
        num_classes: int = 10,
        *,
        in_channels: int = 1,
        image_size: int = 28,
        widths: tuple[int, int, int, int] = (6, 16, 120, 84),
        activation: Layer = nn.Tanh,
        pool: Callable[[int], nn.Module] = nn.AvgPool2d,
        norm: Norm | None = None,
        standardize: nn.Module | None = None,
    ):
        super().__init__()
        self.in_channels, self.image_size = in_channels, image_size
        c1, c2, f1, f2 = widths
        padding = 2 if image_size < 32 else 0
        side = ((image_size + 2 * padding - 4) // 2 - 4) // 2
        if side < 1:
            raise ValueError(f"LeNet needs images of 12 pixels or more, got image_size={image_size}")
        self.standardize = standardize or nn.Identity()
        self.maps = nn.Sequential(
            *convolution(in_channels, c1, padding, norm), pool(2), activation(),
            *convolution(c1, c2, 0, norm), pool(2), activation(),
        )  # fmt: skip
        self.hidden = nn.Sequential(nn.Linear(c2 * side * side, f1), activation(), nn.Linear(f1, f2), activation())
        self.head = nn.Linear(f2, num_classes)
        self.to(memory_format=torch.channels_last)  # activations follow the weights  # pyright: ignore[reportCallIssue]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return self.head(self.features(x))

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """The last hidden layer."""
        if x.shape[1:] != (self.in_channels, self.image_size, self.image_size):
            raise ValueError(f"expected images (B, {self.in_channels}, {self.image_size}, {self.image_size}), got {tuple(x.shape)}")
        return self.hidden(self.maps(self.standardize(x)).flatten(1))


def convolution(in_channels: int, out_channels: int, padding: int, norm: Norm | None) -> list[nn.Module]:
    """A 5x5 convolution and its normalisation, which then brings the bias."""
    conv = nn.Conv2d(in_channels, out_channels, 5, padding=padding, bias=norm is None)
    return [conv] if norm is None else [conv, norm(out_channels)]
