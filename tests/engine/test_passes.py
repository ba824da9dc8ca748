"""Data that are only an iterable: a resumed run sees the batches that an unbroken one sees, or says that it may not."""

import os
import signal
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from deepcanon.data import batches_of
from deepcanon.engine import SGD, fit, options
from deepcanon.engine.passes import Passes


class Seen(nn.Module):
    """Notes the rows that it is trained on, and draws from the global stream as a net with dropout does."""

    def __init__(self):
        super().__init__()
        self.weight, self.rows = nn.Parameter(torch.zeros(())), []

    def loss(self, batch):
        self.rows += [int(v) for v in batch[0].flatten()]
        return self.weight * torch.rand(())


class Break:
    def __init__(self, at):
        self.at = at

    def step(self, trainer):
        if trainer.step == self.at:
            os.kill(os.getpid(), signal.SIGTERM)


def rows(data, workplace, at, steps=13):
    """What an unbroken and an interrupted run see, 8 of 40 rows a step."""
    def session(folder, at, **how):
        torch.manual_seed(3)
        method = Seen()
        with options(folder=workplace / folder, quiet=True, **how):
            try:
                fit(method, data(), SGD(0.1), steps=steps, callbacks=[Break(at)])
            except SystemExit:
                torch.rand(5)
        return method.rows

    return session("whole", 0), session("broken", at) + session("broken", 0, resume=True)


TABLE = TensorDataset(torch.arange(40.0))
LOADERS = {
    "shuffled": lambda: DataLoader(TABLE, batch_size=8, shuffle=True),
    "with a generator": lambda: DataLoader(TABLE, batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(5)),
    "with workers": lambda: DataLoader(TABLE, batch_size=8, shuffle=True, num_workers=1),
    "through batches_of": lambda: batches_of(DataLoader(TABLE, batch_size=8, shuffle=True)),
    "in order": lambda: DataLoader(TABLE, batch_size=8),
}


@pytest.mark.parametrize("at", [2, 5, 8])
@pytest.mark.parametrize("name", LOADERS)
def test_a_loader_resumes_with_the_rows_that_were_not_seen(name, at, workplace):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole, broken = rows(LOADERS[name], workplace, at)
    assert broken == whole
    assert all(sorted(whole[i : i + 40]) == list(range(40)) for i in (0, 40))


class Noise(IterableDataset):
    """Rows from a stream of its own, which nobody can set back."""

    generator = torch.Generator()

    def __iter__(self):
        return iter(torch.rand(40, generator=Noise.generator))


def test_data_that_do_not_come_again_are_said(workplace):
    with pytest.warns(UserWarning, match="the batches of this DataLoader do not come again in the order in which they came"):
        rows(lambda: DataLoader(Noise(), batch_size=8), workplace, 2)


def test_a_generator_that_is_used_up_is_said():
    with pytest.raises(ValueError, match="this generator is used up after 3 batches: pass a list"), options(quiet=True):
        fit(Seen(), ((torch.ones(2),) for _ in range(3)), SGD(0.1), steps=5)


@pytest.mark.parametrize("data", [[], iter([])])
def test_data_without_a_batch_are_said(data):
    with pytest.raises(ValueError, match="holds no batch"):
        next(Passes(data))
