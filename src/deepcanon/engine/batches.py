"""What a batch may be: a tensor, or tuples, named tuples, lists and dicts of batches."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn


def map_tensors(value, function: Callable[[Tensor], Tensor]):
    """`function` of every tensor in `value`; all else as it is."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {k: map_tensors(v, function) for k, v in value.items()}
    if hasattr(value, "_fields"):
        return type(value)(*(map_tensors(v, function) for v in value))
    return type(value)(map_tensors(v, function) for v in value) if isinstance(value, list | tuple) else value


def to(batch, device: torch.device):
    """The batch with its tensors on `device`."""
    return map_tensors(batch, lambda t: t.to(device, non_blocking=True))


def device_of(method: nn.Module) -> torch.device:
    """The device of its parameters; the CPU for a method that has none."""
    return next((p.device for p in method.parameters()), torch.device("cpu"))


def rows(batch) -> int:
    """The rows of a batch: the length of its first tensor; 1 for a batch that holds none."""
    lengths: list[int] = []
    map_tensors(batch, lambda t: lengths.append(len(t)) or t if t.ndim else t)
    return lengths[0] if lengths else 1


def split(batch, parts: int) -> list:
    """A batch cut into `parts` pieces along the first axis, the first ones a row longer where they do not divide it.

    Raises:
        ValueError: tensors of several lengths.
    """
    if parts == 1:
        return [batch]
    n = rows(batch)

    def cut(tensor: Tensor, index: int) -> Tensor:
        if not tensor.ndim or len(tensor) != n:
            raise ValueError(f"a batch is cut by its rows, which are {n} of one tensor and of another {tuple(tensor.shape)}")
        return tensor.tensor_split(parts)[index]

    return [map_tensors(batch, lambda t, i=i: cut(t, i)) for i in range(parts)]


def endless(data: Iterable) -> Iterator:
    """One pass over the data after the other."""
    while True:
        empty = True
        for batch in data:
            empty = False
            yield batch
        if empty:
            raise ValueError(f"{type(data).__name__} holds no batch")
