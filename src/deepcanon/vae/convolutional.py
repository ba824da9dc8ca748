"""Convolutional autoencoders (Masci et al. 2011) and VAEs: images to maps, then by one linear layer to the numbers of a code, and back.

    encoder:  x (B, C, S, S) -> convolutions -> (B, W, s, s) -> linear -> code
    decoder:  code -> linear -> (B, W, s, s) -> transposed convolutions -> (B, P, S, S)

s = S / 2^n. Code and output are whatever the method asks for: (B, 2 Z) mean and log variance, P parameters of a likelihood for each pixel,
e.g. mean and log deviation. B batch, C channels, S side, W = widths[-1] maps, n = len(widths).
"""

from torch import nn

from deepcanon.layers.linear_map import Linear
from deepcanon.nets.conv_coder import conv_decoder, conv_encoder


def image_encoder(channels: int, size: int, widths: tuple[int, ...], code_dim: int) -> nn.Sequential:
    """(B, C, S, S) -> (B, code_dim)."""
    return nn.Sequential(conv_encoder(channels, widths, widths[-1]), nn.SiLU(), nn.Flatten(), Linear(widths[-1] * side(size, widths) ** 2, code_dim))


def image_decoder(channels: int, size: int, widths: tuple[int, ...], code_dim: int) -> nn.Sequential:
    """(B, code_dim) -> (B, channels, S, S); `widths` in the encoder's order."""
    s = side(size, widths)
    return nn.Sequential(Linear(code_dim, widths[-1] * s**2), nn.SiLU(), nn.Unflatten(1, (widths[-1], s, s)),
                         conv_decoder(channels, widths, widths[-1]))


def side(size: int, widths: tuple[int, ...]) -> int:
    """s, that of the smallest maps.

    Raises:
        ValueError: a side that is not a multiple of 2^n.
    """
    if size % 2 ** len(widths):
        raise ValueError(f"expected images whose side is a multiple of {2 ** len(widths)} for {len(widths)} halvings, got {size}")
    return size >> len(widths)
