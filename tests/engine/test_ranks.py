"""Two gloo ranks: identical to each other, equal to one process on the joined batch, and the same whether nets are replicated or sharded."""

import contextlib
import os
import pickle
import shutil

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from deepcanon.engine import Adam, AdamW, Muon, cosine, fit, maximize, options
from deepcanon.engine.checkpoint import read_state, read_weights
from deepcanon.engine.folder import shared_state
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
            if breaks and shard:
                found["after three steps"] = weights(method)
                if dist.get_rank() == 0:
                    shutil.copytree(folder / f"run {before} {after}" / "state", folder / "interrupted")
        found["replicated again" if before else (before, after)] = weights(method)
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
    read = torch.load(folder / "checkpoints0.pt")
    found = [values for key, values in read.items() if key != "after three steps"]
    assert max(furthest(found[0], other) for other in found[1:]) < 1e-6


SHARDED_FIRST = "run ('encoder', 'decoder') ()"


def test_each_rank_writes_its_part_of_a_sharded_checkpoint_and_the_finished_weights_are_whole(folder):
    interrupted = folder / "interrupted"
    assert sorted(file.suffix for file in interrupted.iterdir()) == [".all", ".parts", ".rank0", ".rank1"]
    parts = [file.stat().st_size for file in sorted((interrupted / "000000003.parts").glob("*.distcp"))]
    assert len(parts) == 2
    assert max(parts) < 0.75 * sum(parts)
    state = read_state(interrupted / "000000003.all")
    assert state["method"]["codebook.weight"] == {"tensor at": ["method", "codebook.weight"]}
    whole = read_weights(folder / SHARDED_FIRST / "weights.safetensors")
    found = torch.load(folder / "checkpoints0.pt")["replicated again"]
    assert all(torch.equal(whole[name], value) for name, value in found.items())


def test_a_sharded_checkpoint_is_read_whole_by_one_process(folder):
    method, _ = build("vq_vae")
    untrained = weights(method)
    state = shared_state(folder / "interrupted" / "000000003.all")
    method.load_state_dict(state["method"])
    assert furthest(weights(method), torch.load(folder / "checkpoints0.pt")["after three steps"]) == 0
    assert furthest(weights(method), untrained) > 1e-3


def test_an_index_that_could_run_code_is_not_opened(folder, tmp_path):
    shutil.copytree(folder / "interrupted", tmp_path / "state")

    class Call:
        def __reduce__(self):
            return os.system, ("touch " + str(tmp_path / "ran"),)

    (tmp_path / "state" / "000000003.parts" / ".metadata").write_bytes(pickle.dumps(Call()))
    with pytest.raises(ValueError, match=r"the index of a checkpoint names posix\.system, which is neither a size nor a type"):
        shared_state(tmp_path / "state" / "000000003.all")
    assert not (tmp_path / "ran").exists()


def test_a_run_of_two_ranks_is_not_resumed_by_one(folder):
    method, data = build("vq_vae")
    (run,) = folder.glob("run () ()")
    with options(folder=run, resume=True, quiet=True), pytest.raises(ValueError, match="was run by 2 processes and cannot be resumed by 1"):
        fit(method, data, AdamW(1e-2), steps=STEPS, ema=0.9)
