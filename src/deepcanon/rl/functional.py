"""Arithmetic that several agents share.

    A_t = delta_t + gamma lam (1 - over_t) A_{t+1}          generalised advantages (Schulman et al. 2016, arXiv 1506.02438)
"""

import contextlib
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn


def gae(delta: Float[Tensor, "T N"], over: Float[Tensor, "T N"], decay: float) -> Float[Tensor, "T N"]:
    """sum_k decay^k delta_{t+k} to the end of the episode or of the rollout; `decay` is gamma lam."""
    advantage, advantages = torch.zeros_like(delta[0]), []
    for d, keep in zip(delta.flip(0).unbind(), (decay * (1 - over)).flip(0).unbind()):
        advantage = torch.addcmul(d, keep, advantage)
        advantages.append(advantage)
    return torch.stack(advantages[::-1])


@contextlib.contextmanager
def constant(net: nn.Module) -> Iterator[None]:
    """Inside, the net's parameters are constants: gradients reach its inputs, not them."""
    learnt = [p for p in net.parameters() if p.requires_grad]
    try:
        for p in learnt:
            p.requires_grad_(False)
        yield
    finally:
        for p in learnt:
            p.requires_grad_(True)
