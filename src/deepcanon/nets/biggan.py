"""BigGAN (Brock, Donahue & Simonyan 2019, arXiv 1809.11096), in its small form: residual blocks, conditioned on the class in every normalisation.

    generator        (z_0, ..., z_n) = z;  h = W z_0;  h <- up_i(h; [z_i, e_y]);  sigmoid(conv(relu(norm(h))))
    up(h; c)         skip(2x h) + conv(relu(norm_c(conv(2x relu(norm_c(h)))))),    norm_c(h) = (1 + gain c) norm(h) + bias c
    discriminator    h <- down_i(x);  f = sum over places of relu(h);  head(f) + v_y . f
    down(h)          pool(skip h) + pool(conv(relu(conv(relu(h)))))

Every linear map and convolution is spectrally normalised in both nets; the class embedding e_y is shared by all layers, and every block gets its own
part of z. The paper's attention at 64 x 64 has no place at these sizes.
B batch, Z latent, C channels, S side, c the condition of a block.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.layers.norm import BatchNorm2d
from deepcanon.layers.spectral import spectral_norm


class BigGenerator(nn.Module):
    """(z (B, Z), y (B,)) -> images (B, channels, S, S) in [0, 1].

    Args:
        latent_dim: Z, shared equally by the first layer and the blocks.
        num_classes: classes.
        channels: of the images.
        image_size: S.
        widths: channels before the first block and after each; every block doubles the side.
        class_dim: of e_y.

    Raises:
        ValueError: a side that the blocks do not divide, a latent that they cannot share.
    """

    def __init__(self, latent_dim: int, num_classes: int, *, channels: int = 1, image_size: int = 28, widths: Sequence[int] = (64, 32, 16),
                 class_dim: int = 16):
        super().__init__()
        blocks = len(widths) - 1
        if image_size % 2**blocks or latent_dim % len(widths):
            raise ValueError(f"expected a side that {2**blocks} divides and a latent that {len(widths)} divides, got {image_size} and {latent_dim}")
        self.side, self.part = image_size // 2**blocks, latent_dim // len(widths)
        self.classes = nn.Embedding(num_classes, class_dim)
        self.enter = nn.Linear(self.part, widths[0] * self.side**2)
        self.blocks = nn.ModuleList(Up(a, b, self.part + class_dim) for a, b in pairwise(widths))
        last = nn.Conv2d(widths[-1], channels, 3, padding=1)
        self.leave = nn.Sequential(BatchNorm2d(widths[-1]), nn.ReLU(), last, nn.Sigmoid())
        spectral_norm(orthogonal(self))

    def forward(self, z: Float[Tensor, "B Z"], y: Int[Tensor, "B"]) -> Float[Tensor, "B C S S"]:
        first, *parts = z.split(self.part, 1)
        h = self.enter(first).view(len(z), -1, self.side, self.side)
        for block, part in zip(self.blocks, parts, strict=True):
            h = block(h, torch.cat([part, self.classes(y)], 1))
        return self.leave(h)


class BigDiscriminator(nn.Module):
    """(images (B, channels, S, S), y (B,)) -> scores (B,).

    Args:
        num_classes: classes.
        channels: of the images.
        widths: channels after each block; every block halves the side.
    """

    def __init__(self, num_classes: int, *, channels: int = 1, widths: Sequence[int] = (32, 64)):
        super().__init__()
        self.blocks = nn.Sequential(*(Down(a, b) for a, b in pairwise((channels, *widths))))
        self.head, self.classes = nn.Linear(widths[-1], 1), nn.Embedding(num_classes, widths[-1])
        spectral_norm(orthogonal(self))

    def forward(self, x: Float[Tensor, "B C S S"], y: Int[Tensor, "B"]) -> Float[Tensor, "B"]:
        f = self.blocks(x).relu().sum((2, 3))
        return self.head(f).squeeze(1) + (self.classes(y) * f).sum(1)


class Up(nn.Module):
    """A residual block that doubles the side."""

    def __init__(self, c_in: int, c_out: int, condition_dim: int):
        super().__init__()
        self.norms = nn.ModuleList(ConditionalNorm(c, condition_dim) for c in (c_in, c_out))
        self.convs = nn.ModuleList(nn.Conv2d(c, c_out, 3, padding=1) for c in (c_in, c_out))
        self.skip = nn.Conv2d(c_in, c_out, 1)

    def forward(self, h: Float[Tensor, "B C S S"], condition: Float[Tensor, "B c"]) -> Float[Tensor, "B D T T"]:
        r = self.convs[0](F.interpolate(self.norms[0](h, condition).relu(), scale_factor=2.0))
        return self.skip(F.interpolate(h, scale_factor=2.0)) + self.convs[1](self.norms[1](r, condition).relu())


class Down(nn.Module):
    """A residual block that halves the side."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(c, c_out, 3, padding=1) for c in (c_in, c_out))
        self.skip = nn.Conv2d(c_in, c_out, 1)

    def forward(self, h: Float[Tensor, "B C S S"]) -> Float[Tensor, "B D T T"]:
        return F.avg_pool2d(self.skip(h) + self.convs[1](self.convs[0](h.relu()).relu()), 2)


class ConditionalNorm(nn.Module):
    """Batch normalisation whose gain and bias are linear in a condition."""

    def __init__(self, channels: int, condition_dim: int):
        super().__init__()
        self.norm = BatchNorm2d(channels, affine=False)
        self.gain, self.bias = nn.Linear(condition_dim, channels, bias=False), nn.Linear(condition_dim, channels, bias=False)

    def forward(self, h: Float[Tensor, "B C S S"], condition: Float[Tensor, "B c"]) -> Float[Tensor, "B C S S"]:
        gain, bias = (each(condition)[:, :, None, None] for each in (self.gain, self.bias))
        return (1 + gain) * self.norm(h) + bias


def orthogonal(net: nn.Module) -> nn.Module:
    """The net with orthogonal initial weights."""
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Embedding):
            nn.init.orthogonal_(layer.weight)
    return net
