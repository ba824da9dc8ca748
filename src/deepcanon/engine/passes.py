"""Data that are only an iterable, gone through again and again, so that a resumed run sees the batches that an unbroken one sees.

What decides the order of a pass, the random streams at its beginning, is kept: a resume begins the pass with them again, leaves out the batches that
were seen, and goes on. A shuffled DataLoader resumes exactly in this way; data that keep an order of their own do not, which is noticed and said.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from deepcanon.engine.batches import map_tensors
from deepcanon.engine.seeds import load_streams, streams


class Passes:
    """An endless iterator over passes through `data`, with a state.

    Raises:
        ValueError: data without a batch, or that are used up after one pass.
    """

    def __init__(self, data: Iterable):
        self.data, self.taken, self.last = data, 0, ""
        self.begun: dict[str, Any] = {}                                # the random streams when the pass began
        self.pass_: Iterator | None = None

    def __iter__(self) -> Passes:
        return self

    def __next__(self) -> Any:
        if self.pass_ is None:
            self.begin()
        batch = next(self.pass_, self)                                 # type: ignore[arg-type]
        if batch is self:
            if self.taken == 0:
                raise ValueError(f"{type(self.data).__name__} holds no batch")
            if isinstance(self.data, Iterator):
                raise ValueError(f"this {type(self.data).__name__} is used up after {self.taken} batches: pass a list, a DataLoader or another "
                                 "object that can be gone through again, or train for fewer steps")
            self.pass_ = None
            return next(self)
        self.taken += 1
        self.batch = batch
        return batch

    def begin(self) -> None:
        """Start a pass."""
        self.begun, self.taken = {"streams": streams(), "own": [g.get_state() for g in self.generators()]}, 0
        self.pass_ = iter(self.data)

    def generators(self) -> list[torch.Generator]:
        """The generators of a DataLoader and of its sampler."""
        owners = [self.data, getattr(self.data, "sampler", None), getattr(self.data, "source", None)]
        owners.append(getattr(owners[2], "sampler", None))
        return [g for owner in owners if isinstance(g := getattr(owner, "generator", None), torch.Generator)]

    def state_dict(self) -> dict:
        return {"begun": self.begun, "taken": self.taken, "last": digest(self.batch) if self.taken else ""}

    def load_state_dict(self, state: dict) -> None:
        """Go to where the state was taken. The random streams are those of the pass afterwards: set them next."""
        if not state["taken"]:
            return
        load_streams(state["begun"]["streams"])
        for generator, own in zip(self.generators(), state["begun"]["own"], strict=True):
            generator.set_state(own)
        self.begin()
        for _ in range(state["taken"]):
            next(self)
        if self.taken != state["taken"] or digest(self.batch) != state["last"]:
            warnings.warn(f"the batches of this {type(self.data).__name__} do not come again in the order in which they came, or are augmented "
                          "at random: the resumed run may see others than an unbroken one", stacklevel=2)


def digest(batch: Any) -> str:
    """The digest of the tensors of a batch."""
    found = hashlib.sha256()

    def add(tensor: Tensor) -> Tensor:
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return tensor

    map_tensors(batch, add)
    return found.hexdigest()
