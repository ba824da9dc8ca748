"""Batch, stochastic and mini-batch gradients (Robbins & Monro 1951, "A stochastic approximation method").

    batch        g   = 1/N sum_{i=1..N} grad L_i(theta)
    mini-batch   g_B = 1/B sum_{i in batch} grad L_i(theta);    B = 1 is stochastic gradient descent in the narrow sense

g_B is unbiased: E[g_B] = g. Of B examples drawn with replacement its variance is 1/B of one example's. In practice the examples are shuffled once an
epoch and taken in consecutive groups, whose gradients have the mean g exactly when B divides N.
N examples, B batch.
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

ExampleLoss = Callable[..., Tensor]                                              # (theta, x, y, ...) of one example -> its loss, a number


def epoch(examples: int, batch: int, generator: torch.Generator | None = None) -> Iterator[Int[Tensor, "B"]]:
    """The indices of one pass: every example once, in random order; the last batch takes what is left.

    Raises:
        ValueError: a batch that is empty or larger than the data.
    """
    if not 1 <= batch <= examples:
        raise ValueError(f"expected a batch of 1 to {examples} examples, got {batch}")
    yield from torch.randperm(examples, generator=generator).split(batch)


def example_gradients(loss: ExampleLoss, theta: Float[Tensor, "*D"], *data: Tensor) -> Float[Tensor, "N *D"]:
    """grad L_i(theta) of every example."""
    return torch.func.vmap(torch.func.grad(loss), (None, *[0] * len(data)))(theta, *data)


def gradient(loss: ExampleLoss, theta: Float[Tensor, "*D"], *data: Tensor) -> Float[Tensor, "*D"]:
    """g_B over the examples given: of all of them, a mini-batch of them, or one."""
    return torch.func.grad(lambda t: torch.func.vmap(lambda *example: loss(t, *example))(*data).mean())(theta)
