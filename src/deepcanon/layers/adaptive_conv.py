"""Adaptive kernel selection (GigaGAN: Kang et al. 2023, arXiv 2303.05511): a convolution whose filter is chosen, for each example, from a bank.

    K = sum_i softmax(W w + b)_i K_i                                              selection, w the style of the example
    K <- K_oik (1 + A w)_i,   K <- K / sqrt(sum_{i,k} K_oik^2 + eps)              modulation and demodulation: Karras et al. 2020, arXiv 1912.04958

A text can so pick its filters, where one fixed filter would have to serve all texts. The convolution of each example with its own filter is one
convolution of B groups.
B batch, C D channels, H W pixels, N filters in the bank, S style.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class AdaptiveConv2d(nn.Module):
    """(x (B, C, H, W), w (B, S)) -> (B, D, H, W).

    Args:
        in_channels, out_channels: C, D.
        style_dim: S.
        kernel: its side, odd.
        num_filters: N.
        demodulate: false in a layer that ends in an image.
    """

    def __init__(self, in_channels: int, out_channels: int, style_dim: int, *, kernel: int = 3, num_filters: int = 4, demodulate: bool = True):
        super().__init__()
        self.bank = nn.Parameter(torch.randn(num_filters, out_channels, in_channels, kernel, kernel) / (in_channels * kernel**2) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.select, self.modulate, self.demodulate = nn.Linear(style_dim, num_filters), nn.Linear(style_dim, in_channels), demodulate

    def forward(self, x: Float[Tensor, "B C H W"], w: Float[Tensor, "B S"]) -> Float[Tensor, "B D H W"]:
        filters = self.filters(w)
        B, D, C, side, _ = filters.shape
        y = F.conv2d(x.reshape(1, B * C, *x.shape[2:]), filters.reshape(B * D, C, side, side), padding=side // 2, groups=B)
        return y.view(B, D, *y.shape[2:]) + self.bias.view(-1, 1, 1)

    def filters(self, w: Float[Tensor, "B S"]) -> Float[Tensor, "B D C k k"]:
        """One filter an example."""
        chosen = torch.einsum("bn,ndcij->bdcij", self.select(w).softmax(1), self.bank)
        chosen = chosen * (1 + self.modulate(w))[:, None, :, None, None]
        return chosen * (chosen.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt() if self.demodulate else chosen
