"""Several data sets as one: batch `step` of each, joined by a function, is batch `step` of the whole."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

Batch = tuple[Tensor, ...]


class Joint:
    """`join(a.at(step), b.at(step), ...)` for the parts a, b, ...; an epoch is that of the shortest."""

    def __init__(self, join: Callable[..., Batch], *parts: Any):
        self.join, self.parts = join, parts
        self.key = "joint:" + ",".join(part.key for part in parts)

    def at(self, step: int) -> Batch:
        return self.join(*(part.at(step) for part in self.parts))

    def __len__(self) -> int:
        return min(map(len, self.parts))

    def __iter__(self) -> Iterator[Batch]:
        return map(self.at, range(len(self)))

    def to(self, device: torch.device | str) -> "Joint":
        return Joint(self.join, *(part.to(device) for part in self.parts))

    def shard(self, rank: int, world: int) -> "Joint":
        return Joint(self.join, *(part.shard(rank, world) for part in self.parts))

    @property
    def metadata(self) -> dict[str, Any]:
        """Those of the parts, so that a run tells when its data have changed."""
        return {"parts": [part.metadata for part in self.parts]}
