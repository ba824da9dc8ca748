"""Generator and discriminator that grow (Karras, Aila, Laine & Lehtinen 2018, arXiv 1710.10196).

    generator      h_0 = first(z),   h_i = block_i(2x h_{i-1}),   image_i = to_image_i(h_i)
                   at stage i:       (1 - alpha) 2x image_{i-1} + alpha image_i
    discriminator  h_i = from_image_i(x),   at stage i:   h <- (1 - alpha) from_image_{i-1}(pool(x)) + alpha pool(block_i(h_i)),  then on down to 0

2x is the nearest-neighbour enlargement, pool the mean of 2 x 2. With alpha = 0 the new block is not heard, with alpha = 1 the old output is not.
Layers scale their weights while they run (an equalised learning rate); the generator normalises each pixel over its channels.
B batch, Z latent, C channels, S side: the first one times 2^stage.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class EqualConv(nn.Module):
    """A convolution with weights of deviation one, scaled by sqrt(2 / fan in) at run time."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 3, gain: float = 2.0):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(c_out, c_in, kernel, kernel)), nn.Parameter(torch.zeros(c_out))
        self.scale, self.padding = math.sqrt(gain / (c_in * kernel**2)), kernel // 2

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        return F.conv2d(x, self.scale * self.weight, self.bias, padding=self.padding)


class PixelNorm(nn.Module):
    """h / rms(h) over the channels of a pixel."""

    def forward(self, h: Float[Tensor, "B C ..."]) -> Float[Tensor, "B C ..."]:
        return h * (h.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class GrowingGenerator(nn.Module):
    """(z (B, Z), stage, alpha) -> images (B, channels, S, S) in [0, 1].

    Args:
        latent_dim: Z.
        num_stages: how many resolutions.
        channels: of the images.
        first: side at stage 0.
        width: channels of every layer.
    """

    def __init__(self, latent_dim: int, num_stages: int = 3, *, channels: int = 1, first: int = 7, width: int = 32):
        super().__init__()
        self.num_stages = num_stages
        self.first = nn.Sequential(PixelNorm(), nn.Linear(latent_dim, width * first**2), nn.Unflatten(1, (width, first, first)), nn.LeakyReLU(0.2))
        self.blocks = nn.ModuleList(nn.Sequential(EqualConv(width, width), nn.LeakyReLU(0.2), PixelNorm()) for _ in range(num_stages))
        self.to_image = nn.ModuleList(EqualConv(width, channels, 1, gain=1.0) for _ in range(num_stages))

    def forward(self, z: Float[Tensor, "B Z"], stage: int, alpha: float = 1.0) -> Float[Tensor, "B C S S"]:
        h = self.blocks[0](self.first(z))
        image = self.to_image[0](h)
        for i in range(1, stage + 1):
            h = self.blocks[i](double(h))
            new = self.to_image[i](h)
            image = new if i < stage else (1 - alpha) * double(image) + alpha * new
        return image.sigmoid()


class GrowingDiscriminator(nn.Module):
    """(images (B, channels, S, S), stage, alpha) -> scores (B,).

    Args:
        num_stages, channels, first, width: as the generator's.
    """

    def __init__(self, num_stages: int = 3, *, channels: int = 1, first: int = 7, width: int = 32):
        super().__init__()
        self.num_stages = num_stages
        self.from_image = nn.ModuleList(nn.Sequential(EqualConv(channels, width, 1), nn.LeakyReLU(0.2)) for _ in range(num_stages))
        self.blocks = nn.ModuleList(nn.Sequential(EqualConv(width, width), nn.LeakyReLU(0.2)) for _ in range(num_stages))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(width * first**2, 1), nn.Flatten(0))

    def forward(self, x: Float[Tensor, "B C S S"], stage: int, alpha: float = 1.0) -> Float[Tensor, "B"]:
        h = self.from_image[stage](x)
        for i in range(stage, 0, -1):
            h = halve(self.blocks[i](h))
            if i == stage:
                h = (1 - alpha) * self.from_image[i - 1](halve(x)) + alpha * h
        return self.head(self.blocks[0](h))


def double(x: Float[Tensor, "B C S S"]) -> Float[Tensor, "B C T T"]:
    """Every pixel four times."""
    return F.interpolate(x, scale_factor=2.0)


def halve(x: Float[Tensor, "B C S S"]) -> Float[Tensor, "B C T T"]:
    """The mean of each 2 x 2 pixels."""
    return F.avg_pool2d(x, 2)
