"""Data small enough to live on the device: whole tensors, gathered by index, one call a batch.

    x, y = data.at(step)        # a pure function of (seed, step)

`images("mnist")`, `table("wine.csv")` and `arrays(x, y)` return such data. N rows, B rows a batch.
"""

import copy
import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .facts import Facts, recorded
from .order import Order, mix

Augment = Callable[[Tensor, torch.Generator], Tensor]    # (x, generator) -> x, a whole batch at a time


class Content(NamedTuple):
    """What a source holds: `x` is given out as float32 x / peak (peak None: as it is); `facts` is what cannot be seen from the tensors."""

    x: Tensor                   # (N, ...)
    y: Tensor                   # (N, ...)
    peak: float | None
    facts: Facts


def sha256(*tensors: Tensor) -> str:
    """The digest of the bytes of some tensors, one after the other."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.cpu().contiguous().numpy().data)
    return digest.hexdigest()


class InMemory:
    """Batches (x, y) from tensors in memory. Nothing is read before the first access.

    Args:
        key: what names this data in a record of facts, such as `images:mnist:train`.
        load: returns the content; called once, when it is first needed.
        batch: rows a batch, over all ranks.
        shuffle: a new order each epoch and whole batches only; else rows in order, the last batch may be short.
        seed: of order and augmentation.
        augment: (x, generator) -> x on the float batch.

    Attributes: `.facts` (JSON: shape, classes, count, sha256), `.shape` of one x, `.classes` (names; none for a number to predict), `.count`.
    """

    def __init__(self, key: str, load: Callable[[], Content], *, batch: int, shuffle: bool, seed: int, augment: Augment | None):
        if batch < 1:
            raise ValueError(f"batch must be at least 1, got {batch}")
        self.key, self.load, self.batch, self.shuffle, self.seed, self.augment = key, load, batch, shuffle, seed, augment
        self.device, self.rank, self.world = torch.device("cpu"), 0, 1
        self._content: Content | None = None
        self._order: Order | None = None
        self._facts: Facts | None = recorded(key)
        self._generator: torch.Generator | None = None

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Batch number `step`: the same one whenever it is asked for."""
        content, order = self.content, self.order
        rows = order.rows(step, self.device)
        if self.augment is None:
            rows = rows[self.rank :: self.world]
        x = content.x.index_select(0, rows)
        y = content.y.index_select(0, rows)
        if content.peak is not None:
            x = x.float().div_(content.peak)
        if self.augment is None:
            return x, y
        x = self.augment(x, self.generator.manual_seed(mix(self.seed, ~step)))    # drawn for the joined batch, whatever the number of ranks
        return x[self.rank :: self.world], y[self.rank :: self.world]

    def __len__(self) -> int:
        return self.order.batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass: batches 0 to len - 1."""
        return map(self.at, range(len(self)))

    def to(self, device: torch.device | str) -> "InMemory":
        """The same data on another device."""
        return self._with(device=torch.device(device), _content=None, _generator=None)

    def shard(self, rank: int, world: int) -> "InMemory":
        """The rows rank, rank + world, ... of every batch."""
        if not 0 <= rank < world:
            raise ValueError(f"rank must be in 0..{world - 1}, got {rank}")
        return self._with(rank=rank, world=world)

    @property
    def facts(self) -> Facts:
        if self._facts is None:
            x, y, _, facts = self.content
            self._facts = {"shape": list(x.shape[1:]), "count": len(x), "sha256": sha256(x, y), **facts}
        return self._facts

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.facts["shape"]) if self._facts else tuple(self.content.x.shape[1:])

    @property
    def classes(self) -> list[str]:
        return (self._facts or self.content.facts)["classes"]

    @property
    def count(self) -> int:
        return self._facts["count"] if self._facts else len(self.content.x)

    @property
    def content(self) -> Content:
        """The tensors, on the device."""
        if self._content is None:
            x, y, peak, facts = self.load()
            self._content = Content(x.to(self.device), y.to(self.device), peak, facts)
        return self._content

    @property
    def order(self) -> Order:
        if self._order is None:
            self._order = Order(self.count, self.batch, shuffle=self.shuffle, seed=self.seed)
        return self._order

    @property
    def generator(self) -> torch.Generator:
        if self._generator is None:
            self._generator = torch.Generator(self.device)
        return self._generator

    def _with(self, **changes) -> "InMemory":
        other = copy.copy(self)
        other._order = None
        vars(other).update(changes)
        return other
