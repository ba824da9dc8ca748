"""Sums and rows of a whole batch, for what is computed from a batch as a whole: its mean, its variance, its pairs.

    batch_sum(s) = sum_p s_p,      batch_rows(x) = (x_1; x_2; ...),      s_p, x_p of the parts p that the batch is worked on in

A batch that is in one piece is its own sum and its own rows. Whoever works on a batch in parts gives, by `joining`, the functions that join them;
they pass gradients to every part. `apart` is for a piece that is a batch of its own, such as one task of several.
B rows of the part at hand, N of the whole batch.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor


@runtime_checkable
class Join(Protocol):
    """How parts become a whole."""

    def sum(self, x: Tensor) -> Tensor:
        """The sum of every part's x."""
        ...

    def stack(self, x: Tensor) -> Tensor:
        """Every part's x, of one shape, (parts, *x.shape)."""
        ...

    def rows(self, x: Tensor) -> tuple[Tensor, slice]:
        """The rows of all parts, and where those at hand are among them."""
        ...


_join: ContextVar[Join | None] = ContextVar("join", default=None)


@contextlib.contextmanager
def joining(join: Join | None) -> Iterator[None]:
    """Inside the block, batches are parts of larger ones."""
    token = _join.set(join)
    try:
        yield
    finally:
        _join.reset(token)


def apart() -> contextlib.AbstractContextManager[None]:
    """Inside the block, what looks like a batch is one."""
    return joining(None)


def in_parts() -> bool:
    """Whether the batch at hand is a part of a larger one."""
    return _join.get() is not None


def batch_sum(x: Shaped[Tensor, "*S"]) -> Shaped[Tensor, "*S"]:
    """The sum over the whole batch, of one over the rows at hand."""
    join = _join.get()
    return x if join is None else join.sum(x)


def batch_stack(x: Shaped[Tensor, "*S"]) -> Shaped[Tensor, "P *S"]:
    """x of every part, where all have one shape."""
    join = _join.get()
    return x.unsqueeze(0) if join is None else join.stack(x)


def batch_mean(x: Float[Tensor, "B *S"]) -> Float[Tensor, "*S"]:
    """The mean over the rows of the whole batch."""
    return x.mean(0) if not in_parts() else batch_sum(x.sum(0)) / batch_sum(x.new_tensor(len(x)))


def batch_rows(x: Shaped[Tensor, "B *S"]) -> tuple[Shaped[Tensor, "N *S"], slice]:
    """The rows of the whole batch, and where those at hand are among them."""
    join = _join.get()
    return (x, slice(0, len(x))) if join is None else join.rows(x)


def batch_moments(x: Float[Tensor, "C M"]) -> tuple[Float[Tensor, "C"], Float[Tensor, "C"], Float[Tensor, ""]]:
    """Mean and (biased) variance of each channel over the M values at hand and those of the other parts, and how many these are.

    mu = sum_p n_p mu_p / n,    n var = sum_p n_p (var_p + (mu_p - mu)^2)            Chan, Golub & LeVeque 1983
    """
    var, mu = torch.var_mean(x, 1, correction=0)
    if not in_parts():
        return mu, var, mu.new_tensor(x.shape[1])
    parts = batch_stack(torch.stack([mu, var, torch.full_like(mu, x.shape[1])]))  # (P, 3, C)
    mus, variances, counts = parts.unbind(1)
    n = counts.sum(0)
    mu = (counts * mus).sum(0) / n
    return mu, (counts * (variances + (mus - mu).square())).sum(0) / n, n[0]
