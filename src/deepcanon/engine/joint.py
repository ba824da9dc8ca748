"""A batch that is worked on in parts, by several ranks or one after the other: what a method asks of the whole batch.

    batch_sum(s_r) = sum_r s_r,     d/ds_r sum_q w_q L_q = sum_q w_q dL_q/ds,     w_q the share of rank q in the batch

A sum over the ranks passes back the sum of the ranks' gradients. So the gradients of losses that are scaled by their shares, added up over the
ranks, are those of one process on the joined batch, also where the loss is no mean over rows. Batch normalization, torch's and ours, takes its
statistics from the joined batch in the same way.
"""

import contextlib
import types
import warnings
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn

from deepcanon.layers.joint import batch_moments, in_parts
from deepcanon.layers.norm import BatchNorm

NORMS = (nn.modules.batchnorm._BatchNorm, BatchNorm)


class Sum(torch.autograd.Function):
    """The sum over the ranks, of values and of gradients."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        dist.all_reduce(total := x.detach().contiguous().clone())
        return total

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Sum.apply(grad)  # pyright: ignore[reportReturnType]


class Stack(torch.autograd.Function):
    """The values of all ranks, one after the other."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.detach().contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Sum.apply(grad)[dist.get_rank()]  # pyright: ignore[reportOptionalSubscript]


class Ranks:
    """Every rank holds a part of the batch."""

    def sum(self, x: Tensor) -> Tensor:
        return Sum.apply(x)  # pyright: ignore[reportReturnType]

    def stack(self, x: Tensor) -> Tensor:
        return Stack.apply(x)  # pyright: ignore[reportReturnType]

    def rows(self, x: Tensor) -> tuple[Tensor, slice]:
        counts = self.stack(torch.tensor(len(x))).tolist()
        padded = torch.cat([x, x.new_zeros(max(counts) - len(x), *x.shape[1:])])
        start = sum(counts[: dist.get_rank()])
        return torch.cat([part[:n] for part, n in zip(self.stack(padded), counts)]), slice(start, start + len(x))


class Accumulated:
    """The parts come one after the other: a loss of the whole batch is refused, statistics are said to be those of a part.

    Args:
        owner: whose batch it is, for the messages.
        parts: how many.
        ranks: what joins each part over the ranks; None on one process.
    """

    def __init__(self, owner: str, parts: int, ranks: Ranks | None):
        self.owner, self.parts, self.ranks, self.said = owner, parts, ranks, False

    def sum(self, x: Tensor) -> Tensor:
        self.say(x)
        return self.ranks.sum(x) if self.ranks else x

    def stack(self, x: Tensor) -> Tensor:
        self.say(x)
        return self.ranks.stack(x) if self.ranks else x.unsqueeze(0)

    def rows(self, x: Tensor) -> tuple[Tensor, slice]:
        raise ValueError(f"accumulate={self.parts} would change the loss of {self.owner}, which is of the whole batch and no mean over its rows")

    def say(self, x: Tensor) -> None:
        """Warn, once, of a statistic; refuse one that passes a gradient, which is a part of the loss."""
        if x.requires_grad:
            self.rows(x)
        if not self.said:
            self.said = True
            warnings.warn(f"accumulate={self.parts}: what {self.owner} measures of a whole batch it measures of each part", stacklevel=3)


def has_batch_norm(method: nn.Module) -> bool:
    """Whether a part of the method normalizes over its batch."""
    return any(isinstance(m, NORMS) for m in method.modules())


@contextlib.contextmanager
def joint_batch_norm(method: nn.Module) -> Iterator[None]:
    """Inside the block, the method's batch normalization is over the whole batch wherever a batch is in parts."""
    norms = [m for m in method.modules() if isinstance(m, NORMS)]
    for m in norms:
        m.forward = types.MethodType(normalized, m)
    try:
        yield
    finally:
        for m in norms:
            del m.forward


def normalized(norm, x: Tensor) -> Tensor:
    """Batch normalization, (B, C, *places), in training over the whole batch.

    Raises:
        ValueError: a channel with a single value: it would have no variance.
    """
    if not norm.training or not in_parts():
        return type(norm).forward(norm, x)
    if hasattr(norm, "_check_input_dim"):
        norm._check_input_dim(x)
    each = (-1, *[1] * (x.ndim - 2))                                             # one value a channel, beside the places
    a = x if x.dtype == torch.float64 else x.float()
    mu, var, n = batch_moments(a.transpose(0, 1).flatten(1))
    if n < 2:
        raise ValueError(f"batch normalization trains on two values a channel or more, got a batch of shape {tuple(x.shape)}")
    with torch.no_grad():
        follow(norm, mu, var * (n / (n - 1)))
    a = (a - mu.view(each)) * (var.view(each) + norm.eps).rsqrt()
    if norm.weight is not None:
        a = a * norm.weight.view(each) + norm.bias.view(each)
    return a.to(x.dtype)


def follow(norm, mu: Tensor, var: Tensor) -> None:
    """Moves the running averages towards this batch, as torch does; a momentum of None is the plain average of all batches."""
    if norm.running_mean is None:
        return
    norm.num_batches_tracked += 1
    weight = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mu.to(norm.running_mean), weight)
    norm.running_var.lerp_(var.to(norm.running_var), weight)
