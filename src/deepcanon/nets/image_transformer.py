"""Image Transformer (Parmar et al. 2018, arXiv 1802.05751): attention among the pixels before, all of them or those nearby.

    t_1 = start,   t_i = W (2 x_{i-1} - 1)         the pixels in raster order, each at its successor's place
    h   = t + row + column + c,    h <- h + Attention(LN h; mask),    h <- h + MLP(LN h),    output = W_o LN h

    all_before     i may look at j <= i
    local_1d       ... in its block of the raster order and the `memory` places before that block
    local_2d       ... in its block of the image, `memory` rows above it and `memory` columns to both sides
    strided        ... among the last `stride`, or a multiple of `stride` away (Sparse Transformer; Child et al. 2019, arXiv 1904.10509)

In the paper local 2D attention draws block by block; here the order stays the raster. `decode` keeps keys and values: a new pixel costs one pixel's
work, attention to those that it may look at included.
B n batch, C channels, H x W = N pixels, E embedding, P outputs a pixel, c = condition(y) of E numbers.
"""

from collections.abc import Generator
from typing import cast

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from deepcanon.layers.cache import KVCache
from deepcanon.layers.condition import apply_condition
from deepcanon.layers.dot_product_attention import SelfAttention, attention, merge, split
from deepcanon.layers.linear_map import Linear


def all_before(size: tuple[int, int]) -> Bool[Tensor, "N N"]:
    """Who may look at whom: every place at itself and all before."""
    n = size[0] * size[1]
    return torch.ones(n, n, dtype=torch.bool).tril()


def local_1d(size: tuple[int, int], block: int, memory: int) -> Bool[Tensor, "N N"]:
    """Blocks of `block` places in raster order, and `memory` places before each."""
    i = torch.arange(size[0] * size[1])
    return all_before(size) & (i >= (i // block * block - memory)[:, None])


def local_2d(size: tuple[int, int], block: tuple[int, int], memory: tuple[int, int]) -> Bool[Tensor, "N N"]:
    """Blocks of rows x columns, with `memory` rows above and columns to both sides."""
    i = torch.arange(size[0] * size[1])
    row, column = i // size[1], i % size[1]
    top, left = ((place // side * side)[:, None] for place, side in zip((row, column), block))
    below_top = row >= top - memory[0]
    between = (column >= left - memory[1]) & (column < left + block[1] + memory[1])
    return all_before(size) & below_top & between


def strided(size: tuple[int, int], stride: int) -> Bool[Tensor, "N N"]:
    """The last `stride` places, and those a multiple of it away."""
    i = torch.arange(size[0] * size[1])
    back = i[:, None] - i
    return all_before(size) & ((back < stride) | (back % stride == 0))


class ImageTransformer(nn.Module):
    """Images in [0, 1] to P numbers a pixel, from the pixels before it.

    Args:
        channels: C.
        outputs: P.
        mask: (N, N), True where place i may look at place j: of `local_1d`, `local_2d`, `strided`, `all_before`, or a part of it.
        size: H, W.
        embed_dim, num_heads, num_layers: of the transformer.
        condition: y -> c (B, E), the condition of the model, beside the pixels.

    Raises:
        ValueError: a mask of another size, that looks ahead, or that leaves a place without itself.
    """

    mask: Tensor

    def __init__(self, channels: int, outputs: int, mask: Bool[Tensor, "N N"], *, size: tuple[int, int], embed_dim: int = 64, num_heads: int = 4,
                 num_layers: int = 4, condition: nn.Module | None = None):
        super().__init__()
        check(mask, size)
        self.channels, self.size, self.condition = channels, size, condition
        self.register_buffer("mask", mask, persistent=False)
        self.start = nn.Parameter(torch.zeros(embed_dim))
        self.pixel = nn.Linear(channels, embed_dim)
        self.row, self.column = nn.Parameter(0.1 * torch.randn(size[0], 1, embed_dim)), nn.Parameter(0.1 * torch.randn(size[1], embed_dim))
        self.blocks = nn.ModuleList(Block(embed_dim, num_heads) for _ in range(num_layers))
        self.out = nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, outputs))

    def forward(self, x: Float[Tensor, "B C H W"], y: Shaped[Tensor, "B *Y"] | None = None) -> Float[Tensor, "B P H W"]:
        if x.ndim != 4 or x.shape[1:] != (self.channels, *self.size):
            raise ValueError(f"expected images (B, {self.channels}, {self.size[0]}, {self.size[1]}), got {tuple(x.shape)}")
        t = self.pixel(2 * x.flatten(2).mT[:, :-1] - 1)                          # (B, N - 1, E)
        t = torch.cat([self.start.expand(len(x), 1, -1), t], 1)
        h = t + self.places(apply_condition(self.condition, y))
        for block in self.blocks:
            h = block(h, self.mask)
        return self.out(h).mT.unflatten(2, self.size)

    def places(self, c: Float[Tensor, "B E"] | None) -> Float[Tensor, "#B N E"]:
        """What is added at each place."""
        places = (self.row + self.column).flatten(0, 1)[None]
        return places if c is None else places + c[:, None]

    @torch.no_grad()
    def decode(self, n: int, size: tuple[int, int], y: Shaped[Tensor, "n *Y"] | None = None) -> Generator[Tensor, Tensor, None]:
        """Yields the output (n, P) at each pixel in raster order; each must be answered with the pixel drawn there, (n, C)."""
        if size != self.size:
            raise ValueError(f"the net draws images of {self.size[0]} x {self.size[1]} pixels, not {size[0]} x {size[1]}")
        blocks, places = cast(list[Block], list(self.blocks)), self.places(apply_condition(self.condition, y))
        caches = [block.attention.empty_cache(n, len(self.mask)) for block in blocks]
        t = self.start.expand(n, -1)
        for i, (place, sight) in enumerate(zip(places.unbind(1), self.mask)):
            h, near = (t + place)[:, None], sight[: i + 1].nonzero().flatten()
            for k, block in enumerate(blocks):
                h, caches[k] = block.extend(h, caches[k], near)
            t = self.pixel(2 * (yield self.out(h[:, 0])) - 1)


class Block(nn.Module):
    """Attention, then the MLP, each on the normalised stream and added to it."""

    def __init__(self, embed_dim: int, num_heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(embed_dim), nn.LayerNorm(embed_dim)
        self.attention = SelfAttention(embed_dim, num_heads)
        self.mlp = nn.Sequential(Linear(embed_dim, 4 * embed_dim), nn.GELU(), Linear(4 * embed_dim, embed_dim))

    def forward(self, h: Float[Tensor, "B N E"], mask: Bool[Tensor, "N N"]) -> Float[Tensor, "B N E"]:
        h = h + self.attention(self.norm1(h), mask)
        return h + self.mlp(self.norm2(h))

    def extend(self, h: Float[Tensor, "n 1 E"], cache: KVCache, near: Int[Tensor, "S"]) -> tuple[Float[Tensor, "n 1 E"], KVCache]:
        """One more place, which looks at the places `near`, and the cache with it."""
        q, k, v = (split(t, self.attention.num_heads) for t in self.attention.qkv(self.norm1(h)).chunk(3, -1))
        cache = cache.append(torch.stack([k, v]))
        k, v = (t[:, :, near] for t in cache.read())
        h = h + self.attention.out(merge(attention(q, k, v)))
        return h + self.mlp(self.norm2(h)), cache


def check(mask: Tensor, size: tuple[int, int]) -> None:
    """Of the image's size, looking at itself and not ahead."""
    n = size[0] * size[1]
    if mask.shape != (n, n):
        raise ValueError(f"expected a mask ({n}, {n}) for {size[0]} x {size[1]} pixels, got {tuple(mask.shape)}")
    if ahead := mask.triu(1).nonzero().tolist():
        raise ValueError(f"the mask breaks causality: place {ahead[0][0]} looks at place {ahead[0][1]}, which comes after it")
    if not mask.diagonal().all():
        raise ValueError("the mask leaves a place without itself, where the pixel just before it is written")
