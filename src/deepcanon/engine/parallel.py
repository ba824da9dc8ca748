"""Ranks: the same step on several processes, with gradients averaged between backward and step.

    g <- (1 / W) sum_r g_r,    W processes started by `torchrun`

`shard` instead splits the parameters of named nets over the ranks (ZeRO, Rajbhandari et al. 2020, arXiv 1910.02054), through torch's `fully_shard`.
"""

import os
from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import Parameter


def start(device: torch.device) -> tuple[int, int]:
    """(rank, world), after joining the group that `torchrun` announces; (0, 1) on a single process."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def average_gradients(params: Iterable[Parameter]) -> None:
    """The mean over the ranks, in place; sharded parameters were averaged by their own backward hooks."""
    grads = [p.grad for p in params if p.grad is not None and not hasattr(p, "full_tensor")]
    if not grads:
        return
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for g, mean in zip(grads, flat.split([g.numel() for g in grads])):
        g.copy_(mean.view_as(g))


def share_weights(method: nn.Module) -> None:
    """Rank 0's parameters and buffers on every rank."""
    for t in [*method.parameters(), *method.buffers()]:
        dist.broadcast(t.detach(), src=0)


def agree(stop: str, save: bool, device: torch.device) -> tuple[str, bool]:
    """One answer for all ranks: stop if any rank was told to, save if rank 0 wants to."""
    reasons = ["", "SIGINT", "SIGTERM", stop]
    flags = torch.tensor([reasons.index(stop), float(save and dist.get_rank() == 0)], device=device)
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    return reasons[int(flags[0])] or stop, bool(flags[1])


def shard(method: nn.Module, names: Sequence[str]) -> None:
    """Split the parameters of the named nets over the ranks, in place."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(next(method.parameters()).device.type, (dist.get_world_size(),))
    for name in names:
        fully_shard(method.get_submodule(name), mesh=mesh)


def whole(tensor: Tensor) -> Tensor:
    """The full tensor of a sharded one (a collective call); any other tensor as it is."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def part(value: Tensor, like: Tensor) -> Tensor:
    """The inverse of `whole`: `value` split over the ranks as `like` is."""
    if not hasattr(like, "full_tensor"):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
