"""GoogLeNet (Szegedy et al. 2015, arXiv 1409.4842): convolutions of several sizes side by side.

    inception(x) = [ conv1(x);  conv3(conv1(x));  conv5(conv1(x));  conv1(pool3(x)) ]     along the channels

The 1x1 convolutions before the larger ones cut their channels, and with them most of the cost: 192 to 32
channels by 5x5 takes 153,632 parameters, through 16 channels 15,920. Two further heads, on maps in the
middle, are trained too, so that a gradient reaches the early layers directly; they are used in training
alone. 6,998,552 parameters for ImageNet, 13,378,280 with the two heads.
B batch, C channels, H x W pixels, K classes.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import image_batch
from deepcanon.layers.local_response import LocalResponseNorm
from deepcanon.layers.pooling import global_average_pool

# 1x1; before 3x3, 3x3; before 5x5, 5x5; after the pooling
MODULES = (
    (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64),
    (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128), (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
)  # fmt: skip
POOLED, HEADS = (2, 7), (3, 6)  # modules before which a pooling stands, and before which a further head is
Norm = Callable[[int], nn.Module]


class Inception(nn.Module):
    """Four branches side by side.

    Args:
        channels: C.
        one: maps of the 1x1 convolution.
        before_three, three: of the 1x1 convolution before the 3x3 one, and of that.
        before_five, five: likewise of the 5x5 one.
        pooled: of the 1x1 convolution after the pooling.
        norm: of a convolution's maps; it then brings the bias.
    """

    def __init__(
        self,
        channels: int,
        one: int,
        before_three: int,
        three: int,
        before_five: int,
        five: int,
        pooled: int,
        *,
        norm: Norm | None = None,
    ):
        super().__init__()
        self.branches = nn.ModuleList([
            convolution(channels, one, 1, norm=norm),
            nn.Sequential(convolution(channels, before_three, 1, norm=norm),
                          convolution(before_three, three, 3, norm=norm)),
            nn.Sequential(convolution(channels, before_five, 1, norm=norm),
                          convolution(before_five, five, 5, norm=norm)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), convolution(channels, pooled, 1, norm=norm)),
        ])  # fmt: skip
        self.out_channels = one + three + five + pooled

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        return torch.cat([branch(x) for branch in self.branches], 1)


class GoogLeNet(nn.Module):
    """A stem, nine inception modules with two poolings between, the mean over space, dropout, one linear
    layer. Any image size.

    Args:
        num_classes: K.
        in_channels: C.
        width: share of the channels of the paper, in (0, 1].
        small: for images of about 32 pixels, a stem of one 3x3 convolution at full resolution.
        norm: e.g. `nn.BatchNorm2d`, which takes the place of the local response normalisation.
        dropout: before the last layer.
        standardize: first layer, from raw pixels to centred ones.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        *,
        in_channels: int = 3,
        width: float = 1.0,
        small: bool = False,
        norm: Norm | None = None,
        dropout: float = 0.4,
        standardize: nn.Module | None = None,
    ):
        super().__init__()
        if not 0 < width <= 1:
            raise ValueError(f"expected a width as a share of the paper's channels in (0, 1], got {width}")
        self.in_channels, self.standardize = in_channels, standardize or nn.Identity()
        self.stem, channels = (small_stem if small else large_stem)(in_channels, width, norm)
        modules, heads = [], []
        for i, widths in enumerate(MODULES):
            heads += (
                [Auxiliary(channels, num_classes, scaled(128, width), scaled(1024, width))]
                if i in HEADS
                else []
            )
            inception = Inception(channels, *(scaled(w, width) for w in widths), norm=norm)
            modules.append(nn.Sequential(nn.MaxPool2d(3, 2, 1), inception) if i in POOLED else inception)
            channels = inception.out_channels
        self.blocks, self.auxiliary = nn.ModuleList(modules), nn.ModuleList(heads)
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(channels, num_classes)
        self.apply(kaiming)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return self.head(self.dropout(self.features(x)))

    def features(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """The last maps, averaged over space."""
        return global_average_pool(self.maps(x)[-1])

    def all_logits(self, x: Float[Tensor, "B C H W"]) -> tuple[Tensor, ...]:
        """The logits (B, K) of the last head, then those of the two further ones, the earlier first."""
        early, late, last = self.maps(x)
        first, second = self.auxiliary
        return self.head(self.dropout(global_average_pool(last))), first(early), second(late)

    def maps(self, x: Float[Tensor, "B C H W"]) -> list[Tensor]:
        """The maps that the two further heads read, and the last ones."""
        x, found = self.stem(self.standardize(image_batch(x, self.in_channels))), []
        for i, block in enumerate(self.blocks):
            found += [x] if i in HEADS else []
            x = block(x)
        return [*found, x]


def kaiming(layer: nn.Module) -> None:
    """Normal weights of variance 2 / fan-in (He et al. 2015): by the fan-out those that cut channels would be large."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")


class Auxiliary(nn.Module):
    """A head in the middle: the maps pooled to 4 x 4, a 1x1 convolution, a hidden layer, dropout, logits."""

    def __init__(self, channels: int, num_classes: int, maps: int, hidden: int):
        super().__init__()
        self.conv = convolution(channels, maps, 1)
        self.hidden = nn.Sequential(nn.Linear(16 * maps, hidden), nn.ReLU(inplace=True), nn.Dropout(0.7))
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        return self.head(self.hidden(self.conv(F.adaptive_avg_pool2d(x, 4)).flatten(1)))


def convolution(
    channels: int, out_channels: int, kernel: int, stride: int = 1, norm: Norm | None = None
) -> nn.Sequential:
    """A convolution that keeps the resolution (or divides it by the stride), its normalisation, ReLU."""
    conv = nn.Conv2d(channels, out_channels, kernel, stride, kernel // 2, bias=norm is None)
    return nn.Sequential(conv, *([norm(out_channels)] if norm else []), nn.ReLU(inplace=True))


def large_stem(in_channels: int, width: float, norm: Norm | None) -> tuple[nn.Module, int]:
    """For images of about 224 pixels: 7x7 of stride 2, pooling, 1x1, 3x3, pooling; and its channels."""
    a, b = scaled(64, width), scaled(192, width)
    response: Callable[[], nn.Module] = nn.Identity if norm else LocalResponseNorm
    return nn.Sequential(
        convolution(in_channels, a, 7, 2, norm), nn.MaxPool2d(3, 2, 1), response(),
        convolution(a, a, 1, norm=norm), convolution(a, b, 3, norm=norm), response(),
        nn.MaxPool2d(3, 2, 1)), b  # fmt: skip


def small_stem(in_channels: int, width: float, norm: Norm | None) -> tuple[nn.Module, int]:
    """For images of about 32 pixels: one 3x3 convolution; and its channels."""
    channels = scaled(192, width)
    return convolution(in_channels, channels, 3, norm=norm), channels


def scaled(channels: int, width: float) -> int:
    """That share of the channels, one or more."""
    return max(1, round(channels * width))
