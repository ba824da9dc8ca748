"""Two gloo ranks: identical to each other, equal to one process on the joined batch, and the same whether nets are replicated or sharded."""

import contextlib

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from deepcanon.engine import Adam, AdamW, Muon, cosine, fit, maximize, options
from deepcanon.engine.parallel import whole
from tests.engine.ranks import JoinedNoise, together
from tests.engine.shapes import EBM, SHAPES, build

pytestmark = pytest.mark.xdist_group("ranks")                          # the processes are started once
SHARDED = [name for name in SHAPES if name != "maml"]                  # functional_call knows nothing of sharded parameters
STEPS = 6


def weights(method: nn.Module) -> dict[str, Tensor]:
    return {name: whole(p).detach().clone() for name, p in method.named_parameters()}


def train(name: str, dtype=torch.float32, noise=None, prepare=lambda method: None, **settings) -> dict[str, Tensor]:
    """The weights of a shape after a few steps."""
    method, data = build(name, dtype=dtype)
    prepare(method)
    torch.manual_seed(1)
    with noise or contextlib.nullcontext(), options(quiet=True):
        fit(method, data, settings.pop("optimizers", Adam(1e-3)), steps=STEPS, **settings)
    return weights(method)


def chains_of_two_ranks(method: nn.Module) -> None:
    """The joined process of an energy-based model holds the chains of both ranks, which start as copies of rank 0's."""
    if isinstance(method, EBM):
        method.chains = method.chains.repeat_interleave(2, 0)


def sharded(name: str, **settings) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The same training with replicated and with sharded nets."""
    return train(name, **settings), train(name, **settings, shard=SHAPES[name].nets)


def on_two_ranks(folder) -> None:
    rank = dist.get_rank()
    found = {"joined": {}, "own noise": {}, "sharded": {}, "sharded, orthogonal steps": {}, "sharded, all options": {}}
    for name in SHAPES:
        found["joined"][name] = train(name, torch.float64, JoinedNoise(7, 2, rank))
        found["own noise"][name] = train(name, clip_norm=1.0)
    for name in SHARDED:
        found["sharded"][name] = sharded(name)
        found["sharded, orthogonal steps"][name] = sharded(name, optimizers=Muon(1e-2))
        found["sharded, all options"][name] = sharded(
            name, optimizers=AdamW(1e-2, schedule=cosine()), clip_norm=1.0, clip_value=0.1, ema=0.9, evaluate=size, evaluate_every=2,
            callbacks=[maximize("size")])
    torch.save(found, folder / f"rank{rank}.pt")
    exchange_checkpoints(folder)


def size(method: nn.Module) -> dict[str, float]:
    return {"size": sum(whole(p).square().sum() for p in method.parameters())}


def exchange_checkpoints(folder) -> None:
    """Train 3 + 3 steps, with nets that are sharded before the break, after it, or never."""
    class Break:
        def __init__(self, breaks: bool):
            self.breaks = breaks

        def step(self, trainer):
            if trainer.step == 3 and self.breaks:
                trainer.signal = "SIGTERM"

    found = {}
    for before, after in [((), ()), (("encoder", "decoder"), ()), ((), ("encoder", "decoder"))]:
        for breaks, shard, resume in ((True, before, False), (False, after, True)):
            with contextlib.suppress(SystemExit), options(folder=folder / f"run {before} {after}", resume=resume, quiet=True):
                method, data = build("vq_vae")
                fit(method, data, AdamW(1e-2), steps=STEPS, shard=shard, callbacks=[Break(breaks)], ema=0.9)
        found[before, after] = weights(method)
    torch.save(found, folder / f"checkpoints{dist.get_rank()}.pt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    together(on_two_ranks, 2, folder)
    return folder


@pytest.fixture(scope="module")
def found(folder):
    return [torch.load(folder / f"rank{rank}.pt") for rank in (0, 1)]


def furthest(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    return max((a[name] - b[name]).abs().max().item() for name in a)


@pytest.mark.parametrize("name", SHAPES)
def test_ranks_end_with_the_same_bits(name, found):
    first, second = (rank["own noise"][name] for rank in found)
    assert all(torch.equal(first[p], second[p]) for p in first)


@pytest.mark.parametrize("name", SHAPES)
def test_two_ranks_equal_one_process_on_the_joined_batch(name, found):
    alone = train(name, torch.float64, JoinedNoise(7, 2), chains_of_two_ranks)
    untrained = weights(build(name, dtype=torch.float64)[0])
    assert furthest(alone, found[0]["joined"][name]) < 1e-6 < 1e-4 < furthest(alone, untrained)
    assert all(torch.equal(p, found[1]["joined"][name][key]) for key, p in found[0]["joined"][name].items())


@pytest.mark.parametrize("options", ["sharded", "sharded, orthogonal steps", "sharded, all options"])
@pytest.mark.parametrize("name", SHARDED)
def test_sharded_equals_replicated(name, options, found):
    replicated, sharded = found[0][options][name]
    assert furthest(replicated, sharded) < 1e-6


def test_checkpoints_are_read_back_with_and_without_shards(folder):
    found = list(torch.load(folder / "checkpoints0.pt").values())
    assert max(furthest(found[0], other) for other in found[1:]) < 1e-6


def test_a_run_of_two_ranks_is_not_resumed_by_one(folder):
    method, data = build("vq_vae")
    (run,) = folder.glob("run () ()")
    with options(folder=run, resume=True, quiet=True), pytest.raises(ValueError, match="was run by 2 processes and cannot be resumed by 1"):
        fit(method, data, AdamW(1e-2), steps=STEPS, ema=0.9)
