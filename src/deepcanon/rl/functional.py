"""Arithmetic and checks that several agents share.

    A_t = delta_t + gamma lam (1 - done_t) A_{t+1}

These are generalised advantages (Schulman et al. 2016, arXiv 1506.02438).

T steps, N environments, B batch, S and A the shapes of an observation and of an action.
"""

import contextlib
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import of_shape


def gae(delta: Float[Tensor, "T N"], done: Float[Tensor, "T N"], decay: float) -> Float[Tensor, "T N"]:
    """sum_k decay^k delta_{t+k} to the end of the episode or of the rollout; `decay` is gamma lam.

    Raises:
        ValueError: ends of another shape than the differences.
    """
    of_shape("done", done, delta.shape)
    advantage, advantages = torch.zeros_like(delta[0]), []
    for d, keep in zip(delta.flip(0).unbind(), (decay * (1 - done)).flip(0).unbind()):
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


def transitions(batch, action_shape: tuple[int, ...]) -> tuple[Tensor, ...]:
    """A batch of replay, observations, actions, rewards, next observations and ends, with its shapes checked
    and the ends as numbers.

    Args:
        batch: s (B, *S), a (B, *A), r (B,), s' (B, *S), terminated (B,).
        action_shape: A, () for discrete actions.

    Raises:
        ValueError: another number of entries, or an entry of another shape, also one that would broadcast.
    """
    if len(batch) != 5:
        raise ValueError(
            "expected a batch of 5: observations, actions, rewards, next observations, terminated; got "
            f"{len(batch)}"
        )
    s, a, r, s_next, terminated = batch
    actions("actions", a, (len(s), *action_shape), discrete=action_shape == ())
    of_shape("rewards", r, (len(s),))
    of_shape("next observations", s_next, s.shape)
    of_shape("terminated", terminated, (len(s),))
    return s, a, r, s_next, terminated.to(r.dtype)


def actions(name: str, a: Tensor, shape: tuple[int, ...], *, discrete: bool) -> Tensor:
    """Actions of a shape, integers where they are discrete and real numbers where not.

    Raises:
        ValueError: other actions.
    """
    of_shape(name, a, shape)
    if a.is_floating_point() == discrete or a.dtype == torch.bool:
        raise ValueError(
            f"expected {name} that are {'integers' if discrete else 'real numbers'}, got {a.dtype}"
        )
    return a
