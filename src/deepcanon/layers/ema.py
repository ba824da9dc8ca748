"""Exponential moving average of parameters (Polyak & Juditsky 1992; a slowly moving teacher: Tarvainen & Valpola 2017, arXiv 1703.01780).

    avg <- m avg + (1 - m) theta,    hence after k steps    avg_k = m^k avg_0 + (1 - m) sum_{j=1..k} m^(k-j) theta_j

Buffers, such as the statistics of batch normalisation, are copied: an average of counts or of running averages means nothing.
"""

import torch
from torch import Tensor, nn


@torch.no_grad()
def ema_(target: nn.Module, source: nn.Module, decay: float) -> None:
    """Move `target` towards `source`, in place and without gradient.

    Args:
        target: the average, e.g. `copy.deepcopy(source).requires_grad_(False)`.
        source: the net that is trained, of the same architecture.
        decay: m in [0, 1]; 0 copies the source.

    Raises:
        ValueError: a decay outside [0, 1], nets of different shapes.
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"expected a decay in [0, 1], got {decay}")
    averages: list[Tensor] = [*target.parameters()]
    weights: list[Tensor] = [*source.parameters()]
    copies, buffers = [*target.buffers()], [*source.buffers()]
    if [t.shape for t in averages + copies] != [t.shape for t in weights + buffers]:
        raise ValueError(f"expected two nets of the same shapes to average, got {type(target).__name__} and {type(source).__name__}")
    if averages:
        torch._foreach_lerp_(averages, weights, 1 - decay)
    for copied, buffer in zip(copies, buffers):
        copied.copy_(buffer)
