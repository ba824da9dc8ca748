"""Convolutional encoder and decoder whose code keeps the image's two dimensions (van den Oord et al. 2017, arXiv 1711.00937, section 4.1).

    encoder:  x (B, C, s 2^n, s 2^n) -> n times [conv 4x4, stride 2 -> SiLU] -> 2 residual blocks -> conv 1x1 -> (B, Z, s, s)
    decoder:  z (B, Z, s, s) -> conv 3x3 -> 2 residual blocks -> n times [SiLU -> transposed conv 4x4, stride 2] -> (B, C, s 2^n, s 2^n)
    residual block:  h + conv 1x1(silu(conv 3x3(silu(h))))

Every position of the code sees and paints a neighbourhood of the image. B batch, C channels, Z dimension of the code, s side, n = len(widths).
"""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn


def conv_encoder(channels: int, widths: tuple[int, ...], code_dim: int) -> nn.Sequential:
    """Images to codes; `widths` are the maps after each halving of the side, from fine to coarse."""
    net = nn.Sequential()
    for c_in, c_out in pairwise((channels, *widths)):
        net.extend([nn.Conv2d(c_in, c_out, 4, stride=2, padding=1), nn.SiLU()])
    return net.extend([Residual(widths[-1]), Residual(widths[-1]), nn.SiLU(), nn.Conv2d(widths[-1], code_dim, 1)])


def conv_decoder(channels: int, widths: tuple[int, ...], code_dim: int) -> nn.Sequential:
    """Codes to images: the encoder's mirror image, `widths` in the encoder's order."""
    net = nn.Sequential(nn.Conv2d(code_dim, widths[-1], 3, padding=1), Residual(widths[-1]), Residual(widths[-1]))
    for c_in, c_out in pairwise((*reversed(widths), channels)):
        net.extend([nn.SiLU(), nn.ConvTranspose2d(c_in, c_out, 4, stride=2, padding=1)])
    return net


class Residual(nn.Module):
    """A residual block of one 3x3 and one 1x1 convolution, half as wide between them."""

    def __init__(self, width: int):
        super().__init__()
        self.change = nn.Sequential(nn.SiLU(), nn.Conv2d(width, width // 2, 3, padding=1), nn.SiLU(), nn.Conv2d(width // 2, width, 1))

    def forward(self, h: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return h + self.change(h)
