"""Gradient clipping (Pascanu, Mikolov & Bengio 2013, arXiv 1211.5063) of whole and of sharded parameters.

    by norm     g <- g min(||g||, c) / ||g||      all gradients together, the direction stays
    by value    g_i <- max(min(g_i, c), -c)       each element for itself

A parameter without a gradient is left out.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import Parameter

from deepcanon.engine.parallel import by_kind, whole


def clip_norm(params: Sequence[Parameter], largest: float) -> None:
    """Scale the gradients, in place, so that their joint norm is at most `largest`."""
    kinds = by_kind([p for p in params if p.grad is not None])
    norms = [whole(nn.utils.get_total_norm([p.grad for p in kind if p.grad is not None])) for kind in kinds]
    for kind in kinds:
        nn.utils.clip_grads_with_norm_(kind, largest, torch.stack(norms).norm())


def clip_value(params: Sequence[Parameter], largest: float) -> None:
    """Clamp every element of the gradients, in place, to [-largest, largest]."""
    for kind in by_kind([p for p in params if p.grad is not None]):
        nn.utils.clip_grad_value_(kind, largest)
