"""Nets of image-to-image translation (Isola et al. 2017, arXiv 1611.07004; Zhu et al. 2017, arXiv 1703.10593; Johnson et al. 2016, arXiv 1603.08155).

    translator    7x7 -> down -> R residual blocks -> up -> 7x7 -> sigmoid,        instance normalisation after each convolution
    local         R times 3x3 -> 1x1 -> sigmoid,                                   an output pixel sees 2 R + 1 pixels across
    judge         down, down, 3x3 -> a score for every patch,                      no normalisation

Down is a convolution with stride 2, up a nearest-neighbour enlargement and a convolution. A residual block is h + norm(conv(relu(norm(conv(h))))).
B batch, C channels, H W pixels, P Q patches, a quarter of H and W.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Translator(nn.Module):
    """Images to images of the same size, in [0, 1]. Two more channels tell a pixel where it is, so that the map may differ over the image.

    Args:
        in_channels, out_channels: of the images.
        width: channels at full size; twice as many inside.
        blocks: R.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 1, *, width: int = 16, blocks: int = 3):
        super().__init__()
        self.net = nn.Sequential(
            *convolution(in_channels + 2, width, 7),
            *convolution(width, 2 * width, 3, stride=2),
            *(Residual(2 * width) for _ in range(blocks)),
            nn.Upsample(scale_factor=2), *convolution(2 * width, width, 3),
            nn.Conv2d(width, out_channels, 7, padding=3), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        if x.ndim != 4 or x.shape[2] % 2 or x.shape[3] % 2:
            raise ValueError(f"expected images (B, C, H, W) with even sides, got {tuple(x.shape)}")
        return self.net(torch.cat([2 * x - 1, coordinates(x)], 1))


class LocalTranslator(nn.Module):
    """As `Translator`, but each pixel sees its surroundings alone: a map that could exchange one digit for another is out of its reach.

    Args:
        in_channels, out_channels: of the images.
        width: channels inside.
        layers: R.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 1, *, width: int = 16, layers: int = 2):
        super().__init__()
        widths = (in_channels + 2, *[width] * layers)
        inside = (part for c_in, c_out in pairwise(widths) for part in (nn.Conv2d(c_in, c_out, 3, padding=1), nn.LeakyReLU(0.2)))
        self.net = nn.Sequential(*inside, nn.Conv2d(width, out_channels, 1), nn.Sigmoid())

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        return self.net(torch.cat([2 * x - 1, coordinates(x)], 1))


class Residual(nn.Module):
    """h + f(h)."""

    def __init__(self, channels: int):
        super().__init__()
        conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.f = nn.Sequential(*convolution(channels, channels, 3), conv, nn.InstanceNorm2d(channels, affine=True))

    def forward(self, h: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return h + self.f(h)


def convolution(c_in: int, c_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution, normalisation, activation."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.InstanceNorm2d(c_out, affine=True), nn.ReLU()]


def coordinates(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 2 H W"]:
    """Each pixel's row and column, from -1 to 1."""
    rows, columns = (torch.linspace(-1, 1, side, dtype=x.dtype, device=x.device) for side in x.shape[2:])
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(len(x), -1, -1, -1)


def judge(channels: int = 1, *, width: int = 16) -> nn.Sequential:
    """Images (B, C, H, W) -> scores of patches (B, 1, P, Q)."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 4 * width, 3, 1, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(4 * width, 1, 3, 1, 1),
    )  # fmt: skip
