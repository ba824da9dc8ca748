"""Whether numbers are finite: gradients before they are used, and where in a batch the first one is that is not."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from deepcanon.engine.parallel import common


def all_finite(params: Iterable[Tensor]) -> bool:
    """Whether every gradient is finite, on every rank; one synchronisation on an accelerator.

    A sum is not finite where one of its terms is not, and costs a third of a test of each term, which decides where a sum overflows.
    """
    grads = [p.grad for p in params if p.grad is not None]
    if any(hasattr(g, "to_local") for g in grads):
        return common(finite_here([getattr(g, "to_local", lambda g=g: g)() for g in grads]))
    return finite_here(grads)


def finite_here(grads: list[Tensor]) -> bool:
    """Whether the gradients of this process are finite."""
    if not grads:
        return True
    sums = [g.sum() for g in grads]
    finite = math.isfinite(sum([s.item() for s in sums])) if sums[0].is_cpu else bool(torch.stack(sums).isfinite().all())
    return finite or all(g.isfinite().all() for g in grads)


def where_not_finite(batch: Any, place: str = "") -> str | None:
    """The first value of a batch that is not finite, with its place; None if all are."""
    if isinstance(batch, Tensor):
        if not batch.is_floating_point() or (bad := (~batch.isfinite()).nonzero()).numel() == 0:
            return None
        index = tuple(bad[0].tolist())
        return f"{batch[index].item()} at {place}{list(index)}"
    items = batch.items() if isinstance(batch, dict) else enumerate(batch) if isinstance(batch, list | tuple) else ()
    return next((found for key, value in items if (found := where_not_finite(value, f"{place}[{key!r}]")) is not None), None)
