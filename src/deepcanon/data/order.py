"""Which rows make which batch, as a function of (seed, step): resuming needs no hidden state.

    epoch e, place i  =  divmod(step, batches an epoch)
    rows of a step    =  pi_e[i B : (i + 1) B],    pi_e a permutation drawn from (seed, e)

A rank of several takes every `world`-th row of that batch, so that the ranks' batches together are the batch of one process.
"""

import torch
from torch import Tensor


def mix(seed: int, number: int) -> int:
    """A 63-bit seed from two numbers; near pairs give unrelated seeds (the finaliser of splitmix64, Steele et al. 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + number * 0xD1B54A32D192ED03 + 0x8CB92BA72F3D8DD7) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (z ^ (z >> 31)) >> 1


class Order:
    """Row numbers of each batch.

    Args:
        count: rows there are.
        batch: rows a batch.
        shuffle: True: a new permutation each epoch, whole batches only; False: in order, the last batch may be short.
        seed: of the permutations.
    """

    def __init__(self, count: int, batch: int, *, shuffle: bool, seed: int):
        self.count, self.batch, self.shuffle, self.seed = count, min(batch, count), shuffle, seed
        self.batches = count // self.batch if shuffle else -(-count // self.batch)
        self.epoch, self.permutation = -1, torch.arange(count)

    def rows(self, step: int, device: torch.device | str = "cpu") -> Tensor:
        """The row numbers of batch `step`, int64 on the device; a view into the permutation of its epoch."""
        epoch, place = divmod(step, self.batches)
        if self.shuffle and epoch != self.epoch:
            generator = torch.Generator().manual_seed(mix(self.seed, epoch))
            self.epoch, self.permutation = epoch, torch.randperm(self.count, generator=generator)
        if self.permutation.device != torch.device(device):
            self.permutation = self.permutation.to(device)
        return self.permutation[place * self.batch : (place + 1) * self.batch]
