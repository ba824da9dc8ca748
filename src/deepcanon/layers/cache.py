"""Keys and values of the positions already read, for decoding one position at a time.

    position t attends to keys 1..t: those of 1..t-1 do not change, so they are computed once and kept

The buffer has its full size from the start and is written in place: a step costs one copy of the new positions and no concatenation.
B batch, H heads, S positions that fit, T new positions, D width of a head.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class KVCache(NamedTuple):
    """Keys and values, side by side, of the first `length` positions. `append` writes into the shared buffer: continue from the newest cache only."""

    buffer: Float[Tensor, "2 B H S D"]
    length: int = 0

    @property
    def capacity(self) -> int:
        return self.buffer.shape[3]

    def append(self, keys_values: Float[Tensor, "2 B H T D"]) -> "KVCache":
        """The cache with T more positions.

        Raises:
            ValueError: they do not fit.
        """
        end = self.length + keys_values.shape[3]
        if end > self.capacity:
            raise ValueError(f"the cache holds {self.capacity} positions, {self.length} are taken: {keys_values.shape[3]} more do not fit")
        self.buffer[:, :, :, self.length : end] = keys_values
        return KVCache(self.buffer, end)

    def read(self) -> tuple[Float[Tensor, "B H L D"], Float[Tensor, "B H L D"]]:
        """Keys and values of the positions so far, views of the buffer."""
        keys, values = self.buffer[:, :, :, : self.length].unbind()
        return keys, values


def empty_cache(batch: int, heads: int, capacity: int, width: int, like: Tensor) -> KVCache:
    """A cache without positions, on the device and in the type of `like`."""
    return KVCache(torch.zeros(2, batch, heads, capacity, width, dtype=like.dtype, device=like.device))
