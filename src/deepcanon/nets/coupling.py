"""What the couplings of image flows compute: a small stack of convolutions (Kingma & Dhariwal 2018, arXiv 1807.03039, section 4).

    x -> conv 3x3 -> ReLU -> conv 1x1 -> ReLU -> h,      y = exp(3 g) (W * h + b)        W a 3x3 kernel, g a number for each channel of y

W starts near zero, so that a coupling starts near the identity; the gain exp(3 g) lets y grow fast.
B batch, I channels in, O channels out, H x W pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def coupling_net(in_channels: int, out_channels: int, *, width: int = 64) -> nn.Sequential:
    """(B, I, H, W) -> (B, O, H, W).

    Args:
        in_channels: I.
        out_channels: O.
        width: channels of the hidden layers.
    """
    net = nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), Gained(width, out_channels))
    return net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


class Gained(nn.Module):
    """A 3 x 3 convolution that starts near zero, each of its channels times exp(3 g)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.g = nn.Parameter(torch.zeros(out_channels, 1, 1))
        nn.init.normal_(self.conv.weight, std=1e-3)
        nn.init.zeros_(self.conv.get_parameter("bias"))

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O H W"]:
        return self.conv(x) * torch.exp(3 * self.g)
