"""GigaGAN's generator (Kang et al. 2023, arXiv 2303.05511) at small scale: filters chosen by a style, words looked up at every pixel.

    t_local, t_global = words, their mean;      w = M([z, t_global]) the style
    h_0 = constant,   h_i = conv_w(relu(conv_w(2x h_{i-1}))) + attention(h_i, t_local)          conv_w: layers.adaptive_conv
    image = sigmoid(conv_w(h))

The words come from any encoder of text. The paper's generator has a billion parameters, self-attention, several image sizes and a trained sampler to
larger images, which are left out.
B batch, Z latent, L words of E numbers, C channels, S side.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.adaptive_conv import AdaptiveConv2d


class GigaGenerator(nn.Module):
    """(z (B, Z), words (B, L, E)) -> images (B, channels, S, S) in [0, 1].

    Args:
        latent_dim: Z.
        text_dim: E.
        channels: of the images.
        first: side of the constant.
        blocks: each doubles the side.
        width: channels inside.
        num_filters: in every bank.
    """

    def __init__(self, latent_dim: int, text_dim: int, *, channels: int = 1, first: int = 7, blocks: int = 2, width: int = 32, num_filters: int = 4):
        super().__init__()
        style = 2 * width
        self.map = nn.Sequential(nn.Linear(latent_dim + text_dim, style), nn.LeakyReLU(0.2), nn.Linear(style, style), nn.LeakyReLU(0.2))
        self.constant = nn.Parameter(torch.randn(width, first, first))
        self.blocks = nn.ModuleList(Block(width, style, text_dim, num_filters) for _ in range(blocks))
        self.to_image = AdaptiveConv2d(width, channels, style, kernel=1, num_filters=num_filters, demodulate=False)

    def forward(self, z: Float[Tensor, "B Z"], words: Float[Tensor, "B L E"]) -> Float[Tensor, "B C S S"]:
        w = self.map(torch.cat([z, words.mean(1)], 1))
        h = self.constant.expand(len(z), -1, -1, -1)
        for block in self.blocks:
            h = block(F.interpolate(h, scale_factor=2.0), w, words)
        return self.to_image(h, w).sigmoid()


class Block(nn.Module):
    """Two adaptive convolutions, then every pixel attends to the words."""

    def __init__(self, width: int, style_dim: int, text_dim: int, num_filters: int):
        super().__init__()
        self.convs = nn.ModuleList(AdaptiveConv2d(width, width, style_dim, num_filters=num_filters) for _ in range(2))
        self.query, self.key, self.value, self.out = (nn.Linear(d, width) for d in (width, text_dim, text_dim, width))

    def forward(self, h: Float[Tensor, "B C S S"], w: Float[Tensor, "B W"], words: Float[Tensor, "B L E"]) -> Float[Tensor, "B C S S"]:
        for conv in self.convs:
            h = F.leaky_relu(conv(h, w), 0.2)
        pixels = h.flatten(2).transpose(1, 2)                                    # (B, S S, C)
        heard = F.scaled_dot_product_attention(self.query(pixels), self.key(words), self.value(words))
        return h + self.out(heard).transpose(1, 2).view_as(h)
