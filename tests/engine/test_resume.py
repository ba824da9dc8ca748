"""20 steps = 10 + save + load + 10, bit by bit, through the files of a real run folder."""

import csv
import os
import random
import signal

import numpy
import pytest
import torch
from torch import nn

from deepcanon.engine import SGD, Adam, AdamW, EarlyStopping, Muon, Samples, cosine, fit, maximize, options
from deepcanon.engine.checkpoint import read_weights
from deepcanon.engine.fine_tuning import weights_of
from deepcanon.engine.folder import restore_weights
from tests.contracts.presets import PRESETS
from tests.engine.shapes import SHAPES, D, Steps, build, net, points


class Kill:
    """Sends this process a signal after some step."""

    def __init__(self, at: int, number: int = signal.SIGTERM):
        self.at, self.number = at, number

    def step(self, trainer):
        if trainer.step == self.at:
            os.kill(os.getpid(), self.number)


def everything(method: nn.Module) -> dict[str, torch.Tensor]:
    return dict(method.named_parameters()) | dict(method.named_buffers())


def metrics(folder) -> list[dict[str, str]]:
    with open(folder / "metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def broken_and_resumed(make, workplace, **settings):
    """The same run, unbroken and interrupted after step 10: both methods and folders."""
    def session(folder, callbacks=(), **how):
        method, data, optimizers = make()
        with options(folder=workplace / folder, quiet=True, **how):
            given = settings | {"callbacks": [*make_callbacks(settings), *callbacks]}
            return fit(method, data, optimizers, **({"steps": 20, "log_every": 3} | given)).method

    def make_callbacks(settings):
        return [callback() for callback in settings.get("callbacks", ())]

    unbroken = session("unbroken")
    with pytest.raises(SystemExit) as stopped:
        session("resumed", [Kill(10)])
    assert stopped.value.code == 128 + signal.SIGTERM
    torch.manual_seed(99)
    numpy.random.seed(99)  # noqa: NPY002
    random.seed(99)
    return unbroken, session("resumed", [Kill(0)], resume=True)


def assert_same_bits(unbroken, resumed, workplace):
    for name, value in everything(unbroken).items():
        assert torch.equal(value, everything(resumed)[name]), name
    assert metrics(workplace / "unbroken") == metrics(workplace / "resumed")
    a, b = (read_weights(workplace / folder / "weights.safetensors") for folder in ("unbroken", "resumed"))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def restart():
    torch.manual_seed(0)
    numpy.random.seed(0)  # noqa: NPY002
    random.seed(0)


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_resumes_with_the_same_bits(name, workplace):
    def make():
        restart()
        return *build(name), Adam(1e-3)

    assert_same_bits(*broken_and_resumed(make, workplace), workplace)


def test_orthogonal_steps_resume_with_the_same_bits(workplace):
    def make():
        restart()
        return *build("vae"), Muon(1e-2, weight_decay=0.1)

    assert_same_bits(*broken_and_resumed(make, workplace), workplace)


@pytest.mark.parametrize("name", PRESETS)
def test_every_method_resumes_with_the_same_bits(name, workplace):
    def make():
        restart()
        method, batch = PRESETS[name].build(), PRESETS[name].batch()
        return method, Steps(lambda n, generator: batch), Adam(1e-3)

    assert_same_bits(*broken_and_resumed(make, workplace), workplace)


def size(method: nn.Module) -> dict[str, float]:
    """A number of any method, drawn with noise from each of the three random streams."""
    total = sum(p.square().sum() for p in method.parameters())
    return {"size": total + 1e-3 * (torch.rand(()) + numpy.random.rand() + random.random())}  # noqa: NPY002


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_resumes_with_schedules_clipping_ema_evaluation_and_the_best(name, workplace):
    def make():
        restart()
        return *build(name), {player: AdamW(3e-3, schedule=cosine(warmup=5)) for player in SHAPES[name].players}

    ways = {"clip_norm": 1.0, "clip_value": 0.1, "ema": 0.9, "evaluate": size, "evaluate_every": 4,
            "callbacks": [lambda: maximize("size"), lambda: Samples(lambda m: f"{size(m)}", every=5)]}
    assert_same_bits(*broken_and_resumed(make, workplace, **ways), workplace)
    a, b = (read_weights(workplace / folder / "best.safetensors") for folder in ("unbroken", "resumed"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    for file in ("samples/0000005.txt", "samples/0000020.txt"):
        assert (workplace / "unbroken" / file).read_text() == (workplace / "resumed" / file).read_text()


class Noisy(nn.Module):
    """A loss that draws from the streams of torch, numpy and random, and has a buffer that is not in the state dict."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(net(D, 16, D), nn.Dropout(0.5), nn.BatchNorm1d(D))
        self.register_buffer("last", torch.zeros(D), persistent=False)

    def loss(self, x):
        noise = torch.from_numpy(numpy.random.randn(*x.shape)).float() + random.gauss(0, 1)  # noqa: NPY002
        out = self.net(x + 0.1 * noise) + 0.1 * self.last
        self.last.copy_(out.detach().mean(0))
        return (out - x).square().mean()


class Walk:
    """Data with a state: a random walk, continued where it was left."""

    def __init__(self):
        self.place, self.generator = torch.zeros(32, D), torch.Generator().manual_seed(0)

    def __iter__(self):
        while True:
            self.place = 0.9 * self.place + torch.randn(32, D, generator=self.generator)
            yield self.place

    def state_dict(self):
        return {"place": self.place, "generator": self.generator.get_state()}

    def load_state_dict(self, state):
        self.place = state["place"]
        self.generator.set_state(state["generator"])


def passes():
    """Data that is only an iterable: an epoch of 7 batches, the same each time."""
    return [points(32, torch.Generator().manual_seed(i)) for i in range(7)]


@pytest.mark.parametrize("data", [lambda: Steps(points), Walk, passes], ids=["function of the step", "with a state", "plain list"])
@pytest.mark.parametrize("optimizer", [lambda: SGD(0.1), lambda: SGD(0.1, momentum=0.9), lambda: AdamW(1e-3)], ids=["sgd", "momentum", "adamw"])
def test_every_random_stream_buffer_optimizer_and_kind_of_data_is_carried_over(data, optimizer, workplace):
    def make():
        restart()
        return Noisy(), data(), optimizer()

    assert_same_bits(*broken_and_resumed(make, workplace), workplace)


def test_accumulation_resumes(workplace):
    def make():
        restart()
        return Noisy(), Steps(points), Adam(1e-3)

    assert_same_bits(*broken_and_resumed(make, workplace, accumulate=4), workplace)


def test_early_stopping_counts_on_after_a_resume(workplace):
    def make():
        restart()
        return *build("vae"), SGD(0.0)

    ways = {"steps": 100, "evaluate": lambda m: {"constant": 1.0}, "evaluate_every": 4, "callbacks": [lambda: EarlyStopping(maximize("constant"), 4)]}
    assert_same_bits(*broken_and_resumed(make, workplace, **ways), workplace)
    assert metrics(workplace / "resumed")[-1]["step"] == "20"


def test_of_an_unfinished_averaged_run_the_averaged_weights_are_read(workplace, capsys):
    restart()
    method, data = build("vae")
    averages = {}

    class Note:
        def step(self, trainer):
            with trainer.averaged():
                averages.update({name: p.detach().clone() for name, p in trainer.method.named_parameters()})

    with options(folder=workplace / "run", quiet=True), pytest.raises(SystemExit):
        fit(method, data, Adam(1e-2), steps=20, ema=0.9, callbacks=[Note(), Kill(10)])
    fresh, _ = build("vae")
    restore_weights(fresh, workplace / "run")
    assert "using its checkpoint of step 10" in capsys.readouterr().err
    assert all(torch.equal(p, averages[name]) for name, p in fresh.named_parameters())
    assert not torch.equal(fresh.encoder[0].weight, method.encoder[0].weight)
    assert all(torch.equal(weights_of(workplace / "run")[name], value) for name, value in averages.items())


def test_a_finished_run_is_not_trained_further(workplace):
    def session(**how):
        method, data = build("vae")
        with options(folder=workplace / "run", quiet=True, **how):
            return fit(method, data, Adam(1e-3), steps=5, ema=0.9, evaluate=size)

    first, again = session(), session(resume=True)
    assert again.steps == 5
    assert again.results == first.results
    assert all(torch.equal(value, everything(again.method)[name]) for name, value in everything(first.method).items())


def test_a_run_killed_before_its_first_checkpoint_starts_again(workplace):
    def session(callbacks, **how):
        method, data = build("vae")
        with options(folder=workplace / "run", quiet=True, **how):
            return fit(method, data, Adam(1e-3), steps=20, log_every=3, callbacks=callbacks)

    class Crash:
        def step(self, trainer):
            if trainer.step == 10:
                raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        session([Crash()])
    session([], resume=True)
    assert [row["step"] for row in metrics(workplace / "run")] == ["3", "6", "9", "12", "15", "18", "20"]


def test_only_the_two_newest_checkpoints_stay(workplace):
    method, data = build("vae")
    with options(folder=workplace / "run", save_seconds=0, quiet=True):
        fit(method, data, Adam(1e-3), steps=5)
    assert sorted(f.name for f in (workplace / "run" / "state").iterdir()) == [f"{step:09d}.{part}" for step in (4, 5) for part in ("all", "rank0")]
