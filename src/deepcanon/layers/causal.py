"""Convolutions that see only pixels before their own in raster order (van den Oord et al. 2016, arXiv 1601.06759 and 1606.05328).

    masked         a k x k kernel with zeros after its centre; type A hides the centre too, type B does not:

                        A  1 1 1     B  1 1 1
                           1 0 0        1 1 0
                           0 0 0        0 0 0

    above, before  the same sight in two parts that need no mask: the rows above (and the own, of what has seen only rows above), all columns;
                   the own row up to the pixel. A stack of masked convolutions never sees some pixels above and to the right, this pair sees all.

A first layer reads pixels and must hide its own; the others read features that have not seen it. Below, what the nets made of these share.
B batch, C D channels, H x W pixels, k odd kernel, p = (k - 1) / 2.
"""

from collections.abc import Callable
from functools import reduce

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


def mask_a(kernel: int) -> Bool[Tensor, "{kernel} {kernel}"]:
    """The pixels strictly before the centre."""
    pixel = torch.arange(kernel**2).view(kernel, kernel)
    return pixel < kernel**2 // 2


def mask_b(kernel: int) -> Bool[Tensor, "{kernel} {kernel}"]:
    """The pixels before the centre and the centre."""
    pixel = torch.arange(kernel**2).view(kernel, kernel)
    return pixel <= kernel**2 // 2


class MaskedConv2d(nn.Conv2d):
    """A convolution (B, C, H, W) -> (B, D, H, W) with a masked kernel and zeros around the image.

    Args:
        in_channels, out_channels: C, D.
        mask: True where the kernel may look: `mask_a(k)`, `mask_b(k)` or a part of them; odd sides.

    Raises:
        ValueError: the mask lets a pixel see one that comes after it.
    """

    mask: Tensor
    bias: nn.Parameter

    def __init__(self, in_channels: int, out_channels: int, mask: Bool[Tensor, "h w"]):
        h, w = mask.shape
        if h % 2 == 0 or w % 2 == 0:
            raise ValueError(f"a mask has a centre: expected odd sides, got {h} x {w}")
        after = mask.flatten()[h * w // 2 + 1 :].nonzero().flatten().tolist()
        if after:
            row, column = divmod(after[0] + h * w // 2 + 1, w)
            raise ValueError(f"the mask breaks causality: it lets a pixel see the one {row - h // 2} below and {column - w // 2} to the right, "
                             "which comes after it in raster order")
        super().__init__(in_channels, out_channels, (h, w), padding=(h // 2, w // 2))
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)

    def room(self, n: int, height: int, width: int) -> Float[Tensor, "n h w C"]:
        """Zeros for n images of that size and what is around them."""
        p, q = self.margin()
        return self.weight.new_zeros(n, p + height, width + 2 * q, self.in_channels)

    def window(self, seen: Float[Tensor, "n h w C"], r: int, j: int) -> Float[Tensor, "n taps"]:
        """What pixel (r, j) reads of images with their zeros: no row below its own."""
        p, q = self.margin()
        return seen[:, r : r + p + 1, j : j + 2 * q + 1].flatten(1)

    def matrix(self) -> Float[Tensor, "taps D"]:
        """The kernel as a matrix on windows."""
        rows = (self.weight * self.mask)[:, :, : self.margin()[0] + 1]
        return rows.permute(2, 3, 1, 0).flatten(0, 2)

    def margin(self) -> tuple[int, int]:
        """Rows above the centre, columns aside."""
        return self.weight.shape[2] // 2, self.weight.shape[3] // 2


class AboveConv2d(nn.Conv2d):
    """A convolution of the rows up to p above, columns up to p aside, zeros around the image.

    Args:
        in_channels, out_channels: C, D.
        kernel: k.
        own: read the own row too.
        dilation: distance of the taps, for a layer that reads its own row.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, own: bool, dilation: int = 1):
        check(kernel, own, dilation)
        super().__init__(in_channels, out_channels, (kernel // 2 + own, kernel), dilation=dilation)
        self.reach = kernel // 2 * dilation
        self.span = self.reach + own                                             # rows that one row of the output reads from

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        x = F.pad(x, (self.reach, self.reach, self.reach, 0))
        return self.slide(x[:, :, : x.shape[2] - self.reach + self.span - 1])

    def slide(self, x: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D H W"]:
        """Of rows that have their zeros around them already: `span` of them for one of the output."""
        return super().forward(x)

    def room(self, n: int, height: int, width: int) -> Float[Tensor, "n C h w"]:
        """Zeros for n images of that size and what is around them."""
        room = self.weight.new_zeros(n, self.in_channels, self.reach + height, width + 2 * self.reach)
        return room.contiguous(memory_format=torch.channels_last)


class BeforeConv2d(nn.Conv2d):
    """A convolution of the columns up to p before, in the own row, zeros before the image.

    Args:
        in_channels, out_channels: C, D.
        kernel: k.
        own: read the own pixel too.
        dilation: distance of the taps, for a layer that reads its own pixel.
    """

    bias: nn.Parameter

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, own: bool, dilation: int = 1):
        check(kernel, own, dilation)
        super().__init__(in_channels, out_channels, (1, kernel // 2 + own), dilation=dilation)
        self.reach = kernel // 2 * dilation
        self.span = self.reach + own                                             # columns that one pixel of the output reads from

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        x = F.pad(x, (self.reach, 0))
        return super().forward(x[..., : x.shape[3] - self.reach + self.span - 1])

    def nothing(self, n: int) -> list[Float[Tensor, "n C"]]:
        """The zeros before a row of n images, to which its pixels are appended."""
        return [self.weight.new_zeros(n, self.in_channels)] * self.reach

    def window(self, row: list[Tensor], j: int) -> Float[Tensor, "n taps"]:
        """What pixel j reads of a row with its zeros."""
        return torch.cat(row[j : j + self.span : self.dilation[1]], 1)

    def matrix(self) -> Float[Tensor, "taps D"]:
        """The kernel as a matrix on windows."""
        return self.weight[:, :, 0].permute(2, 1, 0).flatten(0, 1)


def check(kernel: int, own: bool, dilation: int) -> None:
    """A kernel has a centre; taps apart from each other would skip the pixel next to the own one, unless that is read too."""
    if kernel % 2 == 0 or kernel < 3:
        raise ValueError(f"expected an odd kernel of 3 or more, got {kernel}")
    if dilation > 1 and not own:
        raise ValueError(f"a layer that hides its own pixel is not dilated, got a dilation of {dilation}")


def gate(a: Float[Tensor, "B F2 *S"]) -> Float[Tensor, "B F *S"]:
    """tanh(a_1) sigmoid(a_2), the halves of dimension 1."""
    a_1, a_2 = a.chunk(2, 1)
    return a_1.tanh() * a_2.sigmoid()


def head(width: int, outputs: int, hidden: int) -> nn.Sequential:
    """From the last features to the outputs."""
    return nn.Sequential(nn.ReLU(), nn.Conv2d(width, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, outputs, 1))


def pointwise(layers: nn.Module) -> Callable[[Float[Tensor, "n F"]], Float[Tensor, "n P"]]:
    """A 1x1 convolution, a function of single values, or a sequence of such, as a function of one pixel's features."""
    if isinstance(layers, nn.Sequential):
        steps = [pointwise(layer) for layer in layers]
        return lambda h: reduce(lambda value, step: step(value), steps, h)
    if isinstance(layers, nn.Conv2d):
        weight, bias = layers.weight[:, :, 0, 0], layers.bias
        return lambda h: F.linear(h, weight, bias)
    return layers


def centred(x: Float[Tensor, "B C H W"], channels: int) -> Float[Tensor, "B C H W"]:
    """Pixels from [0, 1] to [-1, 1], so that black differs from the zeros around the image."""
    return 2 * images(x, channels) - 1


def images(x: Float[Tensor, "B C H W"], channels: int) -> Float[Tensor, "B C H W"]:
    """Images of so many channels, channels-last."""
    if x.ndim != 4 or x.shape[1] != channels:
        raise ValueError(f"expected images (B, {channels}, H, W), got {tuple(x.shape)}")
    return x.contiguous(memory_format=torch.channels_last)
