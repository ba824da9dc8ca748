"""The net of fast style transfer (Johnson, Alahi & Fei-Fei 2016, arXiv 1603.08155).

    9x9 conv -> two convolutions of stride 2 -> residual blocks -> two enlargements -> 9x9 conv -> sigmoid

Each convolution but the last is followed by instance normalisation (Ulyanov et al. 2016, arXiv 1607.08022)
and ReLU. Borders are reflected. Resolution is brought back by repeating pixels and a convolution, which
leaves no checkerboard (Odena et al. 2016).
B batch, C channels, H x W pixels, multiples of four.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.nets.resnet import Residual


class StyleNet(nn.Module):
    """Pictures to pictures in [0, 1], of any size.

    Args:
        channels: C.
        width: maps of the first convolution; the blocks have four times as many.
        blocks: residual blocks.
    """

    def __init__(self, channels: int = 3, *, width: int = 32, blocks: int = 5):
        super().__init__()
        if min(channels, width) < 1 or blocks < 0:
            raise ValueError(
                f"expected channels and width of 1 or more and blocks of 0 or more, got {channels}, "
                f"{width}, {blocks}"
            )
        self.layers = nn.Sequential(
            *stage(channels, width, 9), *stage(width, 2 * width, 3, 2), *stage(2 * width, 4 * width, 3, 2),
            *(Residual(nn.Sequential(*stage(4 * width, 4 * width, 3), *stage(4 * width, 4 * width, 3)[:-1]))
              for _ in range(blocks)),
            nn.Upsample(scale_factor=2), *stage(4 * width, 2 * width, 3),
            nn.Upsample(scale_factor=2), *stage(2 * width, width, 3),
            nn.Conv2d(width, channels, 9, padding=4, padding_mode="reflect"), nn.Sigmoid(),
        )  # fmt: skip
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        if x.ndim != 4 or x.shape[2] % 4 or x.shape[3] % 4 or min(x.shape[2:]) < 8:
            raise ValueError(
                f"expected images (B, C, H, W) whose sides are multiples of 4, 8 or more, got "
                f"{tuple(x.shape)}"
            )
        return self.layers(x)


def stage(channels: int, out_channels: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """A convolution with reflected borders, instance normalisation, ReLU."""
    conv = nn.Conv2d(channels, out_channels, kernel, stride, kernel // 2, padding_mode="reflect", bias=False)
    return [conv, nn.InstanceNorm2d(out_channels, affine=True), nn.ReLU()]
