"""Ranks: the same step on several processes, with gradients averaged between backward and step.

    g <- (1 / W) sum_r g_r,    g_r = W (n_r / n) grad L_r,    W processes started by `torchrun`

n_r of the n rows of a batch, or of what counts in it, are on rank r.

`shard` instead splits the parameters of named nets over the ranks (ZeRO, Rajbhandari et al. 2020, arXiv 1910.02054), through torch's `fully_shard`.
"""

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import Parameter

from deepcanon.engine.signals import SIGNALS


def start(device: torch.device) -> tuple[int, int]:
    """(rank, world), after joining the group that `torchrun` announces; (0, 1) on a single process."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if device.type != "cpu":
            torch.accelerator.set_device_index(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def is_first() -> bool:
    """Whether this process writes and speaks for all: rank 0, or the only one."""
    return not dist.is_initialized() or dist.get_rank() == 0


def wait_for_all() -> None:
    """Return when every rank has come here."""
    if dist.is_initialized():
        dist.barrier()


@contextlib.contextmanager
def lost_ranks_named() -> Iterator[None]:
    """Inside the block, a connection that breaks because another rank has ended says so.

    Raises:
        ConnectionError: another rank has ended.
    """
    try:
        yield
    except RuntimeError as error:
        if not (dist.is_initialized() and (isinstance(error, dist.DistError) or "gloo" in str(error))):
            raise
        raise ConnectionError("another process of this run has ended; what it said is the reason") from error


def average_gradients(params: Sequence[Parameter]) -> None:
    """The mean over the ranks, in place; sharded parameters were averaged by their own backward hooks."""
    grads = [p.grad for p in params if p.grad is not None and not hasattr(p, "full_tensor")]
    if not grads:
        return
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for g, mean in zip(grads, flat.split([g.numel() for g in grads])):
        g.copy_(mean.view_as(g))


def by_kind(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """The tensors that are whole and those that are sharded, which torch does not mix in one call; no empty list."""
    kinds = [[t for t in tensors if hasattr(t, "full_tensor") == sharded] for sharded in (False, True)]
    return [kind for kind in kinds if kind]


def from_all(numbers: list[float]) -> list[list[float]]:
    """The numbers of every rank."""
    own = torch.tensor(numbers, dtype=torch.float64)
    dist.all_gather(found := [torch.empty_like(own) for _ in range(dist.get_world_size())], own)
    return [t.tolist() for t in found]


def mean_of_ranks(values: Tensor) -> Tensor:
    """The mean over the ranks of a tensor on the CPU."""
    dist.all_reduce(total := values.clone())
    return total / dist.get_world_size()


def tell_unequal(method: nn.Module) -> None:
    """Warn, on rank 0, of buffers that differ between the ranks."""
    named = [(name, b) for name, b in method.named_buffers() if b.numel() and not b.is_complex()]
    sums = from_all([b.double().abs().nan_to_num().sum().item() for _, b in named]) if named else []
    unequal = [name for i, (name, _) in enumerate(named) if len({values[i] for values in sums}) > 1]
    if unequal and dist.get_rank() == 0:
        names = ", ".join(unequal)
        warnings.warn(f"{names} of {type(method).__name__} differ between the ranks: each goes on with "
                      "its own, and the weights that are saved hold those of rank 0", stacklevel=4)


def part_of_data(data: Any, rank: int, world: int) -> Any:
    """This rank's part, `data.shard(rank, world)`; data that cannot be divided stay whole, with a warning."""
    if hasattr(data, "shard"):
        return data.shard(rank, world)
    if rank == 0:
        warnings.warn(f"{type(data).__name__} has no shard(rank, world): every rank trains on the batches "
                      "that its own process makes", stacklevel=3)
    return data


def share_weights(method: nn.Module) -> None:
    """Rank 0's parameters and buffers on every rank."""
    for t in [*method.parameters(), *method.buffers()]:
        dist.broadcast(t.detach(), src=0)


def agree(stop: str, save: bool) -> tuple[str, bool]:
    """One answer for all ranks: stop if any rank has a reason to, save if rank 0 wants to."""
    reasons = ["", "another rank", *SIGNALS]
    flags = torch.tensor([reasons.index(stop) if stop in reasons else 1, int(save and dist.get_rank() == 0)])
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    reason = reasons[flags[0]]
    return (stop if stop and reason == "another rank" else reason), bool(flags[1])


def from_first(value):
    """Rank 0's `value` on every rank."""
    if not dist.is_initialized():
        return value
    shared = [value]
    dist.broadcast_object_list(shared)
    return shared[0]


def common(holds: bool) -> bool:
    """Whether something holds on every rank."""
    if not dist.is_initialized():
        return holds
    flag = torch.tensor(int(holds))
    dist.all_reduce(flag, dist.ReduceOp.MIN)
    return bool(flag)


def shard(method: nn.Module, names: Sequence[str]) -> None:
    """Split the parameters of the named nets over the ranks, in place.

    A gradient of a gradient needs one more pass through its net between the first gradient and the loss: that pass gathers the weights again.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(next(method.parameters()).device.type, (dist.get_world_size(),))
    for name in names:
        fully_shard(method.get_submodule(name), mesh=mesh, reshard_after_forward=True)


def whole(tensor: Any) -> Tensor:
    """The full tensor of a sharded one (a collective call); any other tensor as it is."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def part(value: Tensor, like: Any) -> Tensor:
    """The inverse of `whole`: `value` split over the ranks as `like` is."""
    if not hasattr(like, "full_tensor") or hasattr(value, "full_tensor"):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
