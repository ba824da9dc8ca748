"""Pixels as a net reads them: how bright, and which of K levels.

    e = (2 x - 1, sum_c T_c[k_c]),   k = x (K - 1)

Neighbouring levels are nearly one value and may still mean different things: the ink of a scan saturates at one level, here 253 and there 254, and
who tells them apart knows all of an image's ink from its first stroke. From a value alone a net learns that in thousands of steps, from a table
T at once.
B batch, C channels, E width of the table, S shape of the positions.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class PixelEmbedding(nn.Module):
    """Pixels x in [0, 1], (B, C, *S), to their values from -1 to 1 and, if there are levels, a learned vector of each: (B, C + E, *S).

    Args:
        channels: C.
        levels: K, or None for the values alone.
        dim: E.
    """

    def __init__(self, channels: int, levels: int | None = None, dim: int = 16):
        super().__init__()
        self.channels, self.levels = channels, levels
        self.size = channels if levels is None else channels + dim
        self.table = None if levels is None else nn.Embedding(channels * levels, dim)
        if self.table is not None:
            nn.init.normal_(self.table.weight, std=0.3)

    def forward(self, x: Float[Tensor, "B C *S"]) -> Float[Tensor, "B CE *S"]:
        if self.table is None or self.levels is None:
            return 2 * x - 1
        x = x.movedim(1, -1)
        k = (x * (self.levels - 1)).round().long() + self.levels * torch.arange(self.channels, device=x.device)
        return torch.cat([2 * x - 1, self.table(k).sum(-2)], -1).movedim(-1, 1)
