"""Max-pooling that remembers where, and un-pooling (Zeiler & Fergus 2014, arXiv 1311.2901).

    v_i = max_{j in window i} x_j,     where_i = argmax_{j in window i} x_j
    unpool(v, where)_j = v_i if j = where_i, else 0

Of x >= 0, pool(unpool(pool(x))) = pool(x). B batch, C channels, H x W pixels, h x w pooled.
"""

from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


class Pooled(NamedTuple):
    """The largest value of each window and the pixel, y W + x, that it came from."""

    values: Float[Tensor, "B C h w"]
    where: Int[Tensor, "B C h w"]


def pool_with_places(x: Float[Tensor, "B C H W"], size: int = 2) -> Pooled:
    """The maxima of windows of size x size, side by side, with their places.

    Raises:
        ValueError: no maps (B, C, H, W), or sides that the windows do not fill.
    """
    if x.ndim != 4 or size < 1 or x.shape[2] % size or x.shape[3] % size:
        raise ValueError(f"expected maps (B, C, H, W) with sides divisible by {size}, got {tuple(x.shape)}")
    return Pooled(*F.max_pool2d(x, size, return_indices=True))


def unpool(values: Float[Tensor, "B C h w"], where: Int[Tensor, "B C h w"],
           shape: tuple[int, int]) -> Float[Tensor, "B C H W"]:
    """Maps of sides `shape`, zero but for the values at their places; where two meet, one of them stays.

    Raises:
        ValueError: places of another shape than the values, or outside the maps.
    """
    if values.shape != where.shape:
        raise ValueError(f"expected a place for each value, {tuple(values.shape)}, got {tuple(where.shape)}")
    H, W = shape
    if where.numel() and (int(where.min()) < 0 or int(where.max()) >= H * W):
        raise ValueError(f"expected places in 0..{H * W - 1}, for maps of {H} x {W}, got {where.min()}..{where.max()}")
    flat = values.new_zeros(*values.shape[:2], H * W)
    return flat.scatter(2, where.flatten(2), values.flatten(2)).unflatten(2, (H, W))
