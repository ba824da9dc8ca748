"""Batches whose pictures and answers are changed together: pictures with boxes, pictures with masks.

    read:     (x, y) -> tensors of a batch
    augment:  (*tensors, generator) -> the same, changed
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from .batches import Batches, Content
from .metadata import Metadata
from .order import mix


class JointBatches:
    """What is read of the batches (x, y) of pictures and answers, changed together.

    Args:
        rows: batches of pictures and answers as they are.
        read: what a batch is.
        augment: drawn for the joined batch, however many ranks there are.
    """

    def __init__(self, rows: Batches, read: Callable[[Tensor, Tensor], tuple[Tensor, ...]],
                 augment: Callable[..., tuple[Tensor, ...]] | None = None):
        self.rows, self.read, self.augment, self.rank, self.world = rows, read, augment, 0, 1

    def at(self, step: int) -> tuple[Tensor, ...]:
        """Batch number `step`: the same one whenever it is asked for."""
        batch = self.read(*self.rows.at(step))
        if self.augment is not None:
            generator = torch.Generator(batch[0].device).manual_seed(mix(self.rows.seed, ~step))
            batch = self.augment(*batch, generator)
        return tuple(part[self.rank :: self.world] for part in batch)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """One pass: batches 0 to len - 1."""
        return map(self.at, range(len(self)))

    def to(self, device: torch.device | str) -> "JointBatches":
        """The same data on another device."""
        return self._with(rows=self.rows.to(device))

    def shard(self, rank: int, world: int) -> "JointBatches":
        """The rows rank, rank + world, ... of every batch."""
        if not 0 <= rank < world:
            raise ValueError(f"rank must be in 0..{world - 1}, got {rank}")
        return self._with(rank=rank, world=world)

    def take(self, rows: Any) -> "JointBatches":
        """Only these rows, as `Batches.take`."""
        return self._with(rows=self.rows.take(rows))

    @property
    def key(self) -> str:
        return self.rows.key

    @property
    def metadata(self) -> Metadata:
        return self.rows.metadata

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows.shape

    @property
    def classes(self) -> list[str]:
        return self.rows.classes

    @property
    def count(self) -> int:
        return self.rows.count

    @property
    def content(self) -> Content:
        """The tensors, on the device."""
        return self.rows.content

    def _with(self, **changes) -> "JointBatches":
        other = copy.copy(self)
        vars(other).update(changes)
        return other
