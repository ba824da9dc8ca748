"""Several gloo processes on one machine, and noise that is the same whether it is drawn by one process or by several."""

import os
import socket
from collections.abc import Callable
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.overrides import TorchFunctionMode


class JoinedNoise(TorchFunctionMode):
    """Random tensors of one process and of the ranks it is compared with: row i of rank r is row i * ranks + r of the joined process.

        randn(n, ...) on rank r      =  randn(n * ranks, ...)[r :: ranks] of the joined process
        randperm(n) = p on a rank    =  each row p_i of every rank, i = 0, 1, ...:  (p_i * ranks + r)_{i, r} of the joined process

    so that the k-th part of a permutation cut into k parts holds the same rows. Draws with a generator of their own are left alone.
    """

    def __init__(self, seed: int, ranks: int, rank: int | None = None):
        super().__init__()
        self.generator, self.ranks, self.rank = torch.Generator().manual_seed(seed), ranks, rank

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if kwargs.get("generator") is not None or function not in (torch.randn_like, torch.randn, torch.rand, torch.randint, torch.randperm):
            return function(*args, **kwargs)
        if function is torch.randperm:
            return self.permutation(*args)
        if function is torch.randn_like:
            function, args, kwargs = torch.randn, args[0].shape, {"dtype": args[0].dtype}
        if function is torch.randint:
            (high, shape), draw = args, lambda *shape, **how: torch.randint(high, shape, **how)
        else:
            shape, draw = args, function
        return self.rows(draw, *shape, **kwargs)

    def rows(self, draw: Callable, n: int, *shape: int, **how):
        """n rows of this rank, of the joined process's draw."""
        if self.rank is None:
            return draw(n, *shape, generator=self.generator, **how)
        return draw(n * self.ranks, *shape, generator=self.generator, **how)[self.rank :: self.ranks]

    def permutation(self, n: int):
        if self.rank is not None:
            return torch.randperm(n, generator=self.generator)
        own = torch.randperm(n // self.ranks, generator=self.generator)
        return (own[:, None] * self.ranks + torch.arange(self.ranks)).flatten()


def together(work: Callable, ranks: int, *args) -> None:
    """work(*args) on every rank of a new group of processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.start_processes(_joined, (work, ranks, port, args), nprocs=ranks, start_method="fork")


def _joined(rank: int, work: Callable, ranks: int, port: int, args: tuple) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": str(ranks)}
    dist.init_process_group("gloo", rank=rank, world_size=ranks, timeout=timedelta(minutes=2))
    try:
        work(*args)
    finally:
        dist.destroy_process_group()
