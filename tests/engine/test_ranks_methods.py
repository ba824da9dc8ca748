"""The methods of the library on two gloo ranks: the weights, statistics and numbers of one process on the joined batch, whose rows the ranks do
not divide.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from deepcanon.engine import SGD, fit, options
from deepcanon.engine.batches import map_tensors, rows
from deepcanon.gans import GAN
from deepcanon.layers import BatchNorm, MinibatchDiscrimination
from deepcanon.meta import MAML
from deepcanon.nets.perceptron import mlp
from deepcanon.vae import Autoencoder
from deepcanon.vae.sparse import Lifetime
from deepcanon.vision import Classifier
from tests.contracts.presets import PRESETS
from tests.contracts.presets.gans import corners
from tests.engine.draws import EqualRows
from tests.engine.ranks import together

pytestmark = pytest.mark.xdist_group("ranks methods")                  # the processes are started once
STEPS = 3


def padded() -> tuple[Tensor, Tensor]:
    """Sentences of which 8, 1, 4, 0 and 3 next tokens count."""
    tokens, following = torch.randint(4, (2, 5, 8), generator=torch.Generator().manual_seed(1))
    for row, length in enumerate((8, 1, 4, 0, 3)):
        following[row, length:] = -100
    return tokens, following


def tasks(n: int = 5) -> tuple[Tensor, ...]:
    """Five examples to learn from and five to answer, (T, K, D) and (T, K, 1)."""
    x = torch.randn(n, 10, 3)
    y = x.sum(-1, keepdim=True)
    return x[:, :5], y[:, :5], x[:, 5:], y[:, 5:]


def labelled(n: int = 15) -> tuple[Tensor, Tensor]:
    return torch.randn(n, 6), torch.arange(n) % 3


def partly(n: int = 15) -> tuple[Tensor, Tensor]:
    """The points of `corners`, of which five have a label, two on the second rank."""
    x, y = corners(n)
    return x, torch.where(torch.tensor([0, 1, 2, 3, 6]).eq(torch.arange(n)[:, None]).any(1), y, -1)



def of_a_task(features: int) -> nn.Module:
    return nn.BatchNorm1d(features, track_running_stats=False)


def seeing_all() -> GAN:
    """A discriminator that compares the points of a batch."""
    judge = nn.Sequential(mlp(2, 16, 8), MinibatchDiscrimination(8, 4, 2), nn.Linear(12, 1))
    return GAN(mlp(2, 16, 2), judge, latent_dim=2)


def less_one(name: str) -> tuple[Callable[[], nn.Module], Callable[[], Any]]:
    """A method of the contracts and its batch, which is even, without its last row."""
    def batch():
        whole = PRESETS[name].batch()
        return map_tensors(whole, lambda t: t[: rows(whole) - 1])

    return PRESETS[name].build, batch


DRAWN = {"ddpm", "ddpm_of_a_thousand_levels", "score_sde", "told_ddpm", "ebm", "score_function_vae",
         "ppo"}                                                        # a part of their draws is no draw of a part
CASES = {name: less_one(name) for name in PRESETS if name not in DRAWN | {"maml"}} | {
    "masked tokens": (PRESETS["gpt"].build, padded),
    "tasks": (lambda: MAML(mlp(3, 8, 1), inner_lr=0.1, error=F.mse_loss), tasks),
    "tasks with batch norm": (lambda: MAML(mlp(3, 8, 1, norm=of_a_task), inner_lr=0.1, error=F.mse_loss), tasks),
    "batch norm of torch": (lambda: Classifier(mlp(6, 8, 8, 3, norm=nn.BatchNorm1d)), labelled),
    "batch norm of ours": (lambda: Classifier(mlp(6, 8, 8, 3, norm=BatchNorm)), labelled),
    "batch norm, plain average": (lambda: Classifier(mlp(6, 8, 3, norm=lambda n: nn.BatchNorm1d(n, momentum=None, affine=False))), labelled),
    "few labels": (PRESETS["semi_supervised_gan"].build, partly),
    "minibatch discrimination": (seeing_all, lambda: corners(15)),
    "lifetime sparsity": (lambda: Autoencoder(nn.Sequential(mlp(6, 8), Lifetime(0.3)), mlp(8, 6)), labelled),
}


class Fixed:
    """The same batch at every step, of several ranks every world-th row."""

    key, metadata = "fixed", {}

    def __init__(self, batch):
        self.batch = batch

    def at(self, step: int):
        return self.batch

    def shard(self, rank: int, world: int) -> "Fixed":
        return Fixed(map_tensors(self.batch, lambda t: t[rank::world]))


def trained(name: str, accumulate: int = 1) -> dict[str, Tensor]:
    """The state of a case after a few steps, and what was logged and evaluated."""
    torch.manual_seed(0)
    build, draw = CASES[name]
    method, batch = build().double(), map_tensors(draw(), lambda t: t.double() if t.is_floating_point() else t)
    with EqualRows(), options(quiet=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = fit(method, Fixed(batch), SGD(0.01), steps=STEPS, log_every=1, accumulate=accumulate,
                  evaluate=[[batch]] if hasattr(method, "metrics") else None)
    numbers = [v for row in run.history for k, v in row.items() if k != "seconds"]
    return {name: t.detach().clone() for name, t in run.method.state_dict().items()} | {"logged": torch.tensor(numbers, dtype=torch.float64)}


def on_two_ranks(folder: Path) -> None:
    found = {name: trained(name) for name in CASES}
    found["accumulated"] = trained("masked tokens", accumulate=2)
    found["said"] = said()
    torch.save(found, folder / f"rank{dist.get_rank()}.pt")


def said() -> list[str]:
    """What is said of a batch with fewer rows than ranks, of data that cannot be divided, and of buffers that differ."""
    words = []
    for method, data in ((Classifier(mlp(6, 3)), Fixed(labelled(1))), (Classifier(mlp(6, 3)), [labelled(4)]), (Noted(), Fixed(labelled(4)))):
        with warnings.catch_warnings(record=True) as warned, options(quiet=True):
            warnings.simplefilter("always")
            try:
                fit(method, data, SGD(0.01), steps=1)
            except ValueError as error:
                words.append(str(error))
        words += [str(warning.message) for warning in warned]
    return words


class Noted(nn.Module):
    """Keeps what it saw last."""

    def __init__(self):
        super().__init__()
        self.classifier = Classifier(mlp(6, 3))
        self.register_buffer("last", torch.zeros(6))

    def loss(self, batch):
        self.last.copy_(batch[0][0])
        return self.classifier.loss(batch)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[dict[str, dict[str, Tensor]]]:
    folder = tmp_path_factory.mktemp("methods")
    together(on_two_ranks, 2, folder)
    return [torch.load(folder / f"rank{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("name", CASES)
def test_two_ranks_are_one_process_on_the_joined_batch(name, found):
    alone = trained(name)
    for rank in found:
        assert rank[name].keys() == alone.keys()
        for key, value in alone.items():
            torch.testing.assert_close(rank[name][key], value, atol=1e-9, rtol=1e-9, msg=lambda m, key=key: f"{key}: {m}")


def test_two_ranks_that_accumulate_are_one_process_too(found):
    for key, value in trained("masked tokens").items():
        torch.testing.assert_close(found[0]["accumulated"][key], value, atol=1e-9, rtol=1e-9)


def test_what_cannot_be_the_same_is_said_by_one_rank_or_refused_by_all(found):
    one_row = "the batch of step 1 has 1 row for 2 ranks: each needs one or more"
    assert found[0]["said"] == [
        one_row,
        "list has no shard(rank, world): every rank trains on the batches that its own process makes",
        "last of Noted differ between the ranks: each goes on with its own, and the weights that are saved hold those of rank 0"]
    assert found[1]["said"] == [one_row]
