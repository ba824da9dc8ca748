"""UNet of denoising diffusion (Ho et al. 2020, arXiv 2006.11239; Ronneberger et al. 2015, arXiv 1505.04597), a net of an image and a time.

    residual block    h + conv(silu(norm(conv(silu(norm(h))) + W silu(emb(t)))))
    attention block   h + W_o softmax(q k' / sqrt(head_dim)) v,    q, k, v = W norm(h) at every pixel
    emb(t)            MLP of (cos(w_i t), sin(w_i t)),  w_i = 10000^(-i / (C/2))

Going down, stage i has `blocks` blocks of `widths[i]` channels, then halves the resolution; going up, every block also reads what the way down left.
B batch, C channels, H W image, N = H W pixels, A heads, D head_dim. Activations are kept channels-last, the fast layout of convolutions.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.layers.dot_product_attention import attention
from deepcanon.layers.precision import Float32Buffers, typed_as, widened


class UNet(nn.Module):
    """An image-shaped answer for a noisy image x and its time t.

    Args:
        channels: of x and of the answer.
        widths: C of each stage, from fine to coarse.
        blocks: residual blocks a stage on the way down, one more on the way up.
        attention: the stages, by index, whose residual blocks are followed by attention; the bottom has it always.
        head_dim: D; a stage of C channels has C / D heads (one, if C < D).
        groups: of the group norms (or as many as the greatest common divisor with C allows).
        dropout: before the second convolution of a residual block.
        patch: side of the squares of pixels folded into channels before the first stage, and unfolded after the last.

    The image sides must be divisible by patch * 2^(len(widths) - 1).
    """

    def __init__(self, channels: int, widths: tuple[int, ...] = (128, 256, 256, 256), *, blocks: int = 2, attention: tuple[int, ...] = (1,),
                 head_dim: int = 64, groups: int = 32, dropout: float = 0.0, patch: int = 1):
        super().__init__()
        self.channels, self.patch, self.stride = channels, patch, patch * 2 ** (len(widths) - 1)
        time_dim, folded = 4 * widths[0], channels * patch**2

        def block(c_in: int, c_out: int, attend: bool) -> Block:
            return Block(c_in, c_out, time_dim, head_dim=head_dim if attend else None, groups=groups, dropout=dropout)

        layers = nn.Linear(widths[0], time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim), nn.SiLU()
        self.time = TimeEmbedding(TimeFeatures(widths[0]), *layers)
        self.stem = nn.Conv2d(folded, widths[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        c, skips = widths[0], [widths[0]]
        for i, width in enumerate(widths):
            for _ in range(blocks):
                self.down.append(block(c, width, i in attention))
                c = width
                skips.append(c)
            if i < len(widths) - 1:
                self.down.append(nn.Conv2d(c, c, 3, stride=2, padding=1))
                skips.append(c)
        self.middle = nn.ModuleList([block(c, c, True), block(c, c, False)])
        for i, width in reversed(list(enumerate(widths))):
            for _ in range(blocks + 1):
                self.up.append(block(c + skips.pop(), width, i in attention))
                c = width
            if i > 0:
                self.up.append(nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(c, c, 3, padding=1)))
        self.head = nn.Sequential(NormSiLU(c, groups), faint(nn.Conv2d(c, folded, 3, padding=1)))
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Float[Tensor, "B C H W"], t: Shaped[Tensor, "B"]) -> Float[Tensor, "B C H W"]:
        if x.ndim != 4 or x.shape[1] != self.channels or x.shape[2] % self.stride or x.shape[3] % self.stride:
            raise ValueError(f"expected images (B, {self.channels}, H, W) with sides divisible by {self.stride}, got {tuple(x.shape)}")
        time = self.time(t)
        h = self.stem(F.pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last))
        skips = [h]
        for layer in self.down:
            h = layer(h, time) if isinstance(layer, Block) else layer(h)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, time)
        for layer in self.up:
            h = layer(torch.cat([h, skips.pop()], 1), time) if isinstance(layer, Block) else layer(h)
        return F.pixel_shuffle(self.head(h), self.patch)


class Block(nn.Module):
    """A residual block conditioned on the time, and self-attention after it where `head_dim` is given."""

    def __init__(self, c_in: int, c_out: int, time_dim: int, *, head_dim: int | None, groups: int, dropout: float):
        super().__init__()
        self.enter = nn.Sequential(NormSiLU(c_in, groups), nn.Conv2d(c_in, c_out, 3, padding=1))
        self.time = nn.Linear(time_dim, c_out)
        self.leave = nn.Sequential(NormSiLU(c_out, groups), nn.Dropout(dropout), faint(nn.Conv2d(c_out, c_out, 3, padding=1)))
        self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()
        self.attend = PixelAttention(c_out, head_dim, groups) if head_dim else nn.Identity()

    def forward(self, h: Float[Tensor, "B C H W"], time: Float[Tensor, "B T"]) -> Float[Tensor, "B D H W"]:
        out = self.enter(h) + self.time(time)[:, :, None, None]
        return self.attend(self.skip(h) + self.leave(out))


class PixelAttention(nn.Module):
    """Every pixel attends to every pixel, with a residual connection."""

    def __init__(self, channels: int, head_dim: int, groups: int):
        super().__init__()
        self.num_heads = max(1, channels // head_dim)
        self.norm = GroupNorm(channels, groups)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), faint(nn.Linear(channels, channels))

    def forward(self, h: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        pixels = self.norm(h).flatten(2).transpose(1, 2)                         # (B, N, C)
        q, k, v = self.qkv(pixels).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)   # (B, A, N, D) each
        mixed = attention(q, k, v).transpose(1, 2).flatten(2)                    # (B, N, C)
        return h + self.out(mixed).transpose(1, 2).unflatten(-1, h.shape[2:])


class NormSiLU(nn.Sequential):
    """Group norm, then silu(h) = h sigmoid(h)."""

    def __init__(self, channels: int, groups: int):
        super().__init__(GroupNorm(channels, groups), nn.SiLU())


class GroupNorm(nn.GroupNorm):
    """Group norm in as many groups as divide the channels, in float32 or more, as CUDA's autocast has it (CPUs are faster so, too)."""

    def __init__(self, channels: int, groups: int):
        super().__init__(math.gcd(groups, channels), channels)

    def forward(self, h: Float[Tensor, "B C *places"]) -> Float[Tensor, "B C *places"]:
        h_32, weight, bias = (widened(t) for t in (h, self.weight, self.bias))
        return F.group_norm(h_32, self.num_groups, weight, bias, self.eps).to(h.dtype)


class TimeEmbedding(nn.Sequential):
    """Time features, in float32 or more, and the layers that read them, in their own type."""

    def forward(self, t: Shaped[Tensor, "B"]) -> Float[Tensor, "B T"]:
        features, first, *others = self
        h = first(typed_as(first, features(t)))
        for layer in others:
            h = layer(h)
        return h


class TimeFeatures(Float32Buffers, nn.Module):
    """(cos(w_i t), sin(w_i t)) at `dim` / 2 frequencies w_i, from 1 down to nearly 1/10000 radians a step."""

    frequency: Tensor

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("frequency", 10_000 ** (-torch.arange(dim // 2) / (dim // 2)), persistent=False)

    def forward(self, t: Shaped[Tensor, "B"]) -> Float[Tensor, "B C"]:
        angle = widened(t)[:, None] * self.frequency
        return torch.cat([angle.cos(), angle.sin()], -1)


def faint(layer: nn.Module) -> nn.Module:
    """The layer with weights near zero, so that a residual branch starts as almost nothing, and the net's answer as almost zero."""
    with torch.no_grad():
        for weight in layer.parameters():
            weight.mul_(1e-5)
    return layer
