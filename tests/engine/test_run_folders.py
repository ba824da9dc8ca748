"""A run folder belongs to one process, says what it was made by, and is only continued by the same."""

import contextlib
import importlib.util
import itertools
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from deepcanon import recipes, runs
from deepcanon.engine import SGD, Adam, Trainer, fit, options
from deepcanon.engine.checkpoint import read_json, read_weights, write_json
from deepcanon.engine.folder import new_folder
from deepcanon.engine.lock import NAME, Lock
from deepcanon.engine.source_code import digests
from tests.engine.shapes import VAE, D, build, net


class At:
    """Does something after one step."""

    def __init__(self, at: int, act):
        self.at, self.act = at, act

    def step(self, trainer):
        if trainer.step == self.at:
            self.act(trainer)


def train(folder, act=None, at=7, steps=12, **how):
    method, data = build("vae")
    with options(folder=folder, quiet=True, **how):
        return fit(method, data, Adam(1e-3), steps=steps, log_every=5, callbacks=[At(at, act or (lambda trainer: None))])


def terminated(trainer):
    os.kill(os.getpid(), signal.SIGTERM)


# one process


@pytest.fixture
def other(workplace):
    """The number of another process, which holds the lock of the folder `run`."""
    with pytest.raises(SystemExit):
        train(workplace / "run", terminated)
    ready, held = os.pipe()
    if (process := os.fork()) == 0:
        Lock(workplace / "run")
        os.write(held, b".")
        signal.pause()
    os.read(ready, 1)
    yield process
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def test_a_run_that_another_process_writes_is_left_alone(other, workplace):
    before = sorted(p.name for p in (workplace / "run" / "state").iterdir())
    with pytest.raises(ValueError, match=rf"run is being written by process {other} on \S+ since 20"):
        train(workplace / "run", resume=True)
    assert sorted(p.name for p in (workplace / "run" / "state").iterdir()) == before


def test_a_process_that_was_killed_is_in_nobodys_way(other, workplace):
    os.kill(other, signal.SIGKILL)
    os.waitpid(other, 0)
    assert (workplace / "run" / NAME).exists()
    assert train(workplace / "run", resume=True).steps == 12
    assert not (workplace / "run" / NAME).exists()


def test_without_locks_of_the_file_system_the_process_that_is_named_counts(workplace, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    first = Lock(workplace)
    with pytest.raises(ValueError, match=f"is being written by process {os.getpid()} on"):
        Lock(workplace)
    first.release()
    Lock(workplace).drop()
    write_json(workplace / NAME, read_json(workplace / NAME) | {"process": 2**22 + 1})
    Lock(workplace).release()
    assert not (workplace / NAME).exists()


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(workplace, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form: "20260101-120000")
    made = [new_folder("vae") for _ in range(6)]
    assert [p.name for p in made] == ["20260101-120000", *(f"20260101-120000-{i}" for i in range(1, 6))]
    assert all(p.is_dir() for p in made)


def test_a_run_that_could_not_begin_holds_no_lock(workplace):
    with pytest.raises(SystemExit):
        train(workplace / "run", terminated)
    with pytest.raises(ValueError, match="steps was 12 and is 13"):
        train(workplace / "run", steps=13, resume=True)
    assert not (workplace / "run" / NAME).exists()
    assert train(workplace / "run", resume=True).steps == 12


# where it lies


def test_a_run_stays_in_its_folder_when_the_process_goes_elsewhere(workplace):
    (workplace / "elsewhere").mkdir()
    run = train(Path("run"), lambda trainer: os.chdir("elsewhere"))
    assert run.folder == workplace / "run"
    assert (workplace / "run" / "weights.safetensors").exists()
    assert not list((workplace / "elsewhere").iterdir())


@pytest.mark.parametrize("act", [lambda folder: shutil.rmtree(folder), lambda folder: folder.rename(folder.with_name("moved"))],
                         ids=["removed", "renamed"])
def test_a_folder_that_is_removed_or_renamed_is_made_again_and_said(act, workplace, capfd):
    train(workplace / "whole")
    with pytest.raises(SystemExit):
        train(workplace / "run", lambda trainer: (act(workplace / "run"), terminated(trainer)))
    assert "run was removed or renamed while the run goes on: it is made again" in capfd.readouterr().err
    train(workplace / "run", resume=True)
    a, b = (read_weights(workplace / name / "weights.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert (workplace / "run" / "metrics.csv").read_text().count("\n") == (workplace / "whole" / "metrics.csv").read_text().count("\n")


def test_what_a_killed_process_left_half_written_is_removed(workplace):
    with pytest.raises(SystemExit):
        train(workplace / "run", terminated)
    for place in (".metrics.csv.99.part", "state/.000000009.all.99.part"):
        (workplace / "run" / place).write_bytes(b"half")
    train(workplace / "run", resume=True)
    assert not list((workplace / "run").rglob("*.part"))


# what it was made by


@pytest.fixture
def interrupted(workplace, monkeypatch):
    """A run of a recipe, ended by a signal after step 5; afterwards runs go on to their end."""
    step, at = Trainer.train_step, {"end": 5}

    def counted(trainer, batch):
        step(trainer, batch)
        if trainer.step == at["end"]:
            trainer.signal = "SIGTERM"

    monkeypatch.setattr(Trainer, "train_step", counted)
    with pytest.raises(SystemExit), options(folder=workplace / "run", quiet=True, save_seconds=0):
        recipes.autoencoder("digits", steps=8)
    at["end"] = 0
    return workplace / "run"


@pytest.mark.parametrize(("name", "value"), [("lr", 0.5), ("steps", 9), ("batch", 32), ("seed", 1)])
def test_a_call_that_was_edited_is_not_followed_in_silence(name, value, interrupted, capfd):
    call = read_json(interrupted / "call.json")
    write_json(interrupted / "call.json", call | {"arguments": call["arguments"] | {name: value}})
    was = json.dumps(call["arguments"][name])
    with pytest.raises(ValueError, match=rf"{name} was {was} and is {value}.*resume with --anyway"), options(quiet=True):
        runs.resume(interrupted)
    with options(quiet=True):
        assert runs.resume(interrupted, anyway=True).steps == (value if name == "steps" else 8)
    assert f"{name} was {was} and is {value}" in capfd.readouterr().err


def test_the_state_of_another_run_is_not_followed_in_silence(interrupted, workplace, monkeypatch):
    shutil.copytree(interrupted, workplace / "other")
    call = read_json(workplace / "other" / "call.json")
    call["settings"]["optimizers"]["lr"] = 0.7
    write_json(workplace / "other" / "call.json", call)
    with pytest.raises(ValueError, match=r"optimizers.lr was 0.7 and is"), options(quiet=True):
        runs.resume(workplace / "other")


def test_a_resumed_run_keeps_its_options(workplace):
    with options(folder=workplace / "run", quiet=True, minutes=1e-9, track=("tensorboard",)):
        first = recipes.autoencoder("digits", steps=50)
    assert first.steps < 50
    (workplace / "run" / "result.json").unlink()                       # as if it had been killed at its end
    with options(quiet=True):
        again = runs.resume(workplace / "run")
    assert again.steps == first.steps
    assert any(type(c).__name__ == "TensorBoard" for c in again.callbacks)


RECIPE = '''
from deepcanon.engine import SGD, fit, recipe
from tests.engine.shapes import VAE, Steps, points

@recipe(paper="-", systems=[])
def mine(*, seed: int = 0):
    method = VAE()
    return fit(method, Steps(points), SGD({lr} * 1e-3), steps=9, callbacks=CALLBACKS)
'''


def mine(folder, lr, callbacks, **how):
    """A recipe of one's own, from a file that says this rate."""
    (folder / "of_mine.py").write_text(RECIPE.format(lr=lr))
    spec = importlib.util.spec_from_file_location("of_mine", folder / "of_mine.py")
    sys.modules["of_mine"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.CALLBACKS = callbacks
    with options(folder=folder / "run", quiet=True, **how):
        return module.mine()


def test_a_recipe_that_was_edited_is_not_followed_in_silence(workplace):
    with pytest.raises(SystemExit):
        mine(workplace, 1, [At(5, terminated)])
    with pytest.raises(ValueError, match=r"lr was 0.001 and is 0.03; the code of of_mine has changed"):
        mine(workplace, 30, [At(0, None)], resume=True)
    assert mine(workplace, 30, [At(0, None)], resume=True, anyway=True).steps == 9


def test_the_code_of_a_run_is_that_of_its_recipe_method_engine_and_data():
    found = digests([recipes.vae])
    for part in ("recipes.vaes.gaussian", "vae.vae", "nets.perceptron", "engine.loop", "engine.optimizers", "data.batches", "data.source"):
        assert f"deepcanon.{part}" in found, part
    assert not [name for name in found if name.startswith(("torch", "deepcanon.cli", "deepcanon.report"))]
    assert "tests.engine.shapes" in digests([VAE])


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net(D, 1)

    def loss(self, x):
        return self.net(x).square().mean()


def test_a_list_of_batches_that_was_changed_is_noticed(workplace):
    def session(data, **how):
        with options(folder=workplace / "run", quiet=True, **how):
            return fit(Linear(), data, SGD(0.1), steps=3)

    session([torch.ones(4, D), torch.zeros(4, D)])
    with pytest.raises(ValueError, match="the data have changed"):
        session([torch.ones(4, D), torch.ones(4, D)], resume=True)


WORLD = '''
import numpy as np

class World:
    observation_shape, action_shape, num_actions = (2,), (), 2

    def reset(self, seed=None):
        self.t = 0
        return np.zeros(2, np.float32)

    def step(self, action):
        self.t += 1
        return np.full(2, self.t, np.float32), {reward}, self.t == 5, False

    def state_dict(self):
        return {{"t": self.t}}

    def load_state_dict(self, state):
        self.t = state["t"]
'''


def test_an_environment_that_was_edited_is_noticed(workplace):
    def write(reward):
        sys.modules.pop("world", None)
        for name in [n for n, m in sys.modules.items() if getattr(m, "__file__", None) == str(workplace / "world.py")]:
            del sys.modules[name]
        (workplace / "world.py").write_text(WORLD.format(reward=reward))

    write("1.0")
    with options(folder=workplace / "run", quiet=True):
        recipes.dqn("./world.py:World", env_steps=200, evaluate_every=100, until=1e9)
    (workplace / "run" / "result.json").unlink()
    with options(quiet=True):
        runs.resume(workplace / "run")
    (workplace / "run" / "result.json").unlink()
    write("2.0")
    with pytest.raises(ValueError, match=r"the code of world of \S*world.py has changed"), options(quiet=True):
        runs.resume(workplace / "run")


def test_other_test_data_are_noticed(workplace):
    def draw(split, kind, i, ink):
        (workplace / "photos" / split / kind).mkdir(parents=True, exist_ok=True)
        Image.new("L", (32, 32), ink).save(workplace / "photos" / split / kind / f"{i}.png")

    for split, kind, i in itertools.product(("train", "test"), ("cat", "dog"), range(4)):
        draw(split, kind, i, 10 * i)
    with options(folder=workplace / "run", quiet=True):
        recipes.lenet("photos", steps=2)
    assert "deepcanon.data.image_content" in read_json(workplace / "run" / "call.json")["code"]
    (workplace / "run" / "result.json").unlink()
    with options(quiet=True):
        runs.resume(workplace / "run")
    (workplace / "run" / "result.json").unlink()
    draw("test", "cat", 0, 255)
    with pytest.raises(ValueError, match="the data have changed"), options(quiet=True):
        runs.resume(workplace / "run")
