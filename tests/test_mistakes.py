"""What a user does wrong on the command line or in code of their own: one clear line and a status each."""

import errno
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from deepcanon import cli, errors
from deepcanon.engine import Adam, fit
from deepcanon.engine.checkpoint import read_state, write_state
from tests.engine.shapes import build

ENVIRONMENTS = """
import numpy as np

class Plain:
    observation_shape, action_shape, num_actions = (2,), (), 2
    def __init__(self): self.n = 0
    def reset(self, seed=None): return np.zeros(2, "float32")
    def step(self, action):
        self.n += 1
        return self.move(), 1.0, False, self.n % 20 == 0
    def move(self): return np.zeros(2, "float32")
    def state_dict(self): return {"n": self.n}
    def load_state_dict(self, state): self.n = state["n"]

class Broken(Plain):
    def reset(self, seed=None): raise KeyError("position")

class Late(Plain):
    def move(self): return super().move() if self.n < 41 else {}["speed"]

class Closed(Plain):
    def __init__(self): raise ValueError("no licence")
"""
CUT = {
    "missing": lambda s: {**s, "method": dict(list(s["method"].items())[1:])},
    "no_method": lambda s: _without(s, "method"),
    "no_log": lambda s: _without(s, "log"),
    "list": lambda s: [1, 2],
    "player": lambda s: {**s, "optimizers": {"nobody": {}}},
    "callbacks": lambda s: {**s, "callbacks": [{"x": 1}] * 9},
    "size": lambda s: {**s, "method": {name: torch.zeros(3) for name in s["method"]}},
}
RECORDS = {
    "older": {"format": 1},
    "unknown": {"arguments": {"foo": 1}},
    "other_size": {"arguments": {"latent": 3}},
    "no_arguments": {"arguments": None},
    "text": {"arguments": {"latent": "many"}},
    "no_recipe": {"recipe": "nothing"},
    "no_data": {"data": {"x": 3}, "sources": [3]},
}


def _without(state: dict, name: str) -> dict:
    return {k: v for k, v in state.items() if k != name}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A folder with runs, damaged runs, data and environments."""
    before, bench = os.getcwd(), tmp_path_factory.mktemp("bench")
    os.chdir(bench)
    for name, words in {"vae": "vae", "mlp": "mlp --data iris", "gpt": "gpt", "lenet": "lenet"}.items():
        assert cli.main(["train", *words.split(), "--steps", "2", "--quiet", "--folder", name]) == 0
    for name, change in RECORDS.items():
        shutil.copytree("vae", name)
        call = json.loads(Path(name, "call.json").read_text())
        arguments = change.get("arguments") or {}
        changed = call | change | ({"arguments": call["arguments"] | arguments} if arguments else {})
        Path(name, "call.json").write_text(json.dumps(changed))
    for name, text in {"json_list": "[]", "json_broken": "{"}.items():
        shutil.copytree("vae", name)
        Path(name, "call.json").write_text(text)
    for name, change in CUT.items():
        shutil.copytree("vae", f"state_{name}")
        file = max(Path(f"state_{name}", "state").glob("*.all"))
        write_state(file, change(read_state(file)))
        for done in ("result.json", "weights.safetensors"):
            Path(f"state_{name}", done).unlink()
    shutil.copytree("vae", "torn")
    Path("torn/weights.safetensors").write_bytes(b"x" * 100)
    plans = {
        "plan_empty": {},
        "plan_list": [1],
        "plan_seeds": {"calls": [["vae", {}, ""]], "seeds": "x", "minutes": None},
        "plan_recipe": {"calls": [["nothing", {}, ""]], "seeds": 1, "minutes": None},
        "plan_argument": {"calls": [["vae", {"bta": 1}, ""]], "seeds": 1, "minutes": None},
    }
    for name, plan in plans.items():
        Path(name).mkdir()
        Path(name, "comparison.json").write_text(json.dumps(plan))
    for name in ("empty", "full"):
        Path(name).mkdir()
    Path("full/letter.txt").write_text("dear")
    files = {
        "empty.csv": "",
        "one.csv": "a,b\n",
        "bad.csv": "a,b\n1,2\n3\n",
        "t.csv": "a,y\n" + "".join(f"{i},{i % 3}\n" for i in range(60)),
        "t.txt": "hello " * 100,
        "junk.png": "junk",
        "envs.py": ENVIRONMENTS,
        "syntax.py": "class A(:\n",
    }
    for name, text in files.items():
        Path(name).write_text(text)
    yield bench
    os.chdir(before)


@pytest.fixture
def run(bench, capsys, monkeypatch):
    """Run a command there: (status, stdout, stderr)."""
    monkeypatch.chdir(bench)

    def command(line):
        capsys.readouterr()
        return cli.main(shlex.split(line)), *capsys.readouterr()

    return command


USAGE = [
    ("train -1", "no recipe '-1'"),
    ("train 3", "no recipe '3'"),
    ("train ''", "no recipe ''"),
    ("train -x", "train: NAME is missing"),
    ("train --steps 3", "train: NAME is missing"),
    ("train --steps -1", "train: NAME is missing"),
    ("train --quiet lennet", "no recipe 'lennet'; did you mean 'lenet'?"),
    ("train --bta 4 vae", "train vae has no flag '--bta'"),
    ("train vae vae", "unexpected 'vae'"),
    ("train vae --", "unexpected '--'"),
    ("train vae -x", "no flag '-x'"),
    ("train vae --no-steps", "no flag '--no-steps'"),
    ("train vae --beta 1 2", "unexpected '2'"),
    ("train vae --steps=", "a whole number"),
    ("train vae --steps 1e3", "a whole number"),
    ("train vae --budget", "expected one argument"),
    ("train vae --data ''", "--data: expected a name or a path"),
    ("train ppo --env ''", "--env: expected a name or a path"),
    ("train vae --folder ''", "--folder: expected a path"),
    ("train vae --from ''", "--from: expected a path"),
    ("train vae --track nothing", "expected tensorboard or wandb or mlflow"),
    ("train vae --minutes -1", "expected minutes above 0"),
    ("train vae --minutes 0", "expected minutes above 0"),
    ("train vae --minutes nan", "expected minutes above 0"),
    ("train vae --minutes inf", "expected minutes above 0"),
    ("train vae --read x", "expected OPTION=VALUE"),
    ("train vae --read count=a", "count= with a whole number, got 'count=a'"),
    ("train vae --read types=a", "expected types=COLUMN:TYPE"),
    ("train ppo --steps 3", "did you mean '--env-steps'?"),
    ("resume", "FOLDER is missing"),
    ("resume ''", "expected a path"),
    ("resume vae extra", "unexpected 'extra'"),
    ("resume --folder x", "no flag '--folder'"),
    ("resume vae --device tpu", "expected auto or cpu or cuda"),
    ("evaluate", "FOLDER is missing"),
    ("evaluate ''", "expected a path"),
    ("evaluate vae --weights better", "did you mean 'best'?"),
    ("sample vae --n x", "a whole number"),
    ("sample vae --out .", ". is a folder"),
    ("sample vae --out ''", "expected a path"),
    ("sample vae extra", "unexpected 'extra'"),
    ("export vae --to tf", "expected torch or onnx or folder"),
    ("export", "FOLDER is missing"),
    ("predict", "FOLDER, FILES is missing"),
    ("predict lenet", "FILES is missing"),
    ("predict mlp ''", "expected a name or a path"),
    ("compare", "NAME is missing"),
    ("compare --beta 1 2", "NAME is missing"),
    ("compare vae nothing", "no recipe 'nothing'"),
    ("compare '' vae", "no recipe ''"),
    ("compare vae glow --seeds x", "a whole number"),
    ("compare vae glow --seeds", "expected one argument"),
    ("compare vae --beta 1 2 --minutes -1", "expected minutes above 0"),
    ("compare vae --beta", "compare: --beta needs a value"),
    ("compare vae --beta 1 x", "expected a number, got 'x'"),
    ("compare vae glow --hidden 0 16", "glow has no argument '--hidden'"),
    ("compare vae glow --fast", "glow has no argument '--fast'"),
    ("compare pixelcnn conditional_pixelcnn --muon maybe", "--muon: expected true or false, got 'maybe'"),
    ("compare vae glow --jobs 0", "--jobs: expected 1 or more"),
    ("compare vae glow --dry-run", "--dry-run needs --folder"),
    ("compare vae glow --folder ''", "expected a path"),
    ("prove", "NAME is missing"),
    ("prove '*_nothing'", "no recipe '*_nothing'"),
    ("prove vae --data", "prove: --data needs a value"),
    ("prove vae --seeds x", "a whole number"),
    ("prove vae --minutes 3", "vae has no argument '--minutes'"),
    ("prove vae --all --data nowhere", "prove: no call with presets has these values"),
    ("prove vae --dry-run", "--dry-run needs --folder"),
    ("prove vae --jobs -1", "--jobs: expected 1 or more"),
    ("data list extra", "unexpected 'extra'"),
    ("data get ''", "expected a name or a path"),
    ("data check", "needs a path"),
    ("data check ''", "expected a name or a path"),
    ("data -1", "has no '-1'"),
    ("data frobnicate x", "has no 'frobnicate'"),
    ("data check t.csv --read types=a", "expected types=COLUMN:TYPE"),
    ("claims nothing", "no claim or area 'nothing'"),
    ("claims ''", "no claim or area ''"),
    ("claims --record", "--record needs the ids"),
    ("list nothing", "no area 'nothing'"),
    ("list GEN extra", "unexpected 'extra'"),
    ("list -1", "no area '-1'"),
    ("find", "WORDS is missing"),
    ("show -x", "NAME is missing"),
    ("--nothing", "no flag '--nothing'"),
    ("''", "no verb ''"),
    ("-1", "no flag '-1'"),
]
MISTAKES = [
    ("train vae --data empty", "empty has no images"),
    ("train vae --data ./nowhere.png", "there is no file nowhere.png"),
    ("train vae --data junk.png", "leave them out with --skip-unreadable"),
    ("train vae --steps -3", "expected steps of 0 or more"),
    ("train dqn --env-steps -1", "dqn: expected env_steps of 0 or more, got -1"),
    ("train vae --hidden 99999999999999999999", "vae: expected hidden as a number of 64 bits"),
    ("train vae --size 99999999999999999999", "vae: expected size as a number of 64 bits"),
    ("train vae --batch 0", "batch must be at least 1"),
    ("train vae --lr nan", "expected a learning rate of 0 or more"),
    ("train vae --latent 0", "expected latent of 1 or more"),
    ("train vae --seed 99999999999999999999", "expected seed as a number of 64 bits"),
    ("train vae --folder empty.csv", "empty.csv is a file"),
    ("train vae --folder full", "full is not empty and holds no run"),
    ("train vae --device cuda", "the device 'cuda' cannot be used here"),
    ("train vae --from nowhere", "there is no run folder nowhere"),
    ("train vae --from mlp", "cannot start from"),
    ("train vae --read separator=,", "to which --read separator= does not apply"),
    ("train vae --read count=3", "to which --read count= does not apply"),
    ("train vae --read types=a:number", "to which --read types= does not apply"),
    ("train vae --read channels=7", "channels must be 1 or 3, got 7"),
    ("train vae --size 0", "size must be at least 1"),
    ("train mlp --data empty.csv", "expected a row of names"),
    ("train mlp --data bad.csv", "row 2 has 1 cells"),
    ("train mlp --data t.csv --target z", "there is no column 'z'"),
    ("train gpt --heads 7", "7 heads"),
    ("train ppo --env nowhere:Thing", "there is no module 'nowhere'"),
    ("train ppo --env envs.py", "such as 'envs.py:ClassName'"),
    ("train ppo --env ./envs.py:Nothing", "has no 'Nothing'"),
    ("train ppo --env ./syntax.py:A", "SyntaxError: invalid syntax (syntax.py, line 1)"),
    ("train ppo --env Nothing-v7", "unknown environment"),
    ("train ppo --env :", "Empty module name"),
    ("train sac --env CartPole-v1", "take dqn or ppo"),
    *(
        (f"{verb} {name}", words)
        for verb in ("resume", "evaluate")
        for name, words in {
            "nowhere": "there is no run folder",
            "empty": "is not a run folder",
            "empty.csv": "there is no run folder empty.csv",
            "older": "open it with that version",
            "unknown": "has no argument 'foo'",
            "json_list": "is not the record of a run",
            "json_broken": "expected JSON",
            "no_arguments": "not the record of a run",
            "text": "expected latent as a whole number",
            "no_recipe": "no recipe 'nothing'",
            "no_data": "not the record of a run",
        }.items()
    ),
    ("evaluate other_size", "does not fit VAE"),
    ("evaluate torn", "torn/weights.safetensors is damaged"),
    ("evaluate vae --weights best", "has no best.safetensors"),
    ("resume plan_empty", "is not the plan of a comparison"),
    ("resume plan_list", "is not the plan"),
    ("resume plan_seeds", "is not the plan"),
    ("resume plan_recipe", "no recipe 'nothing'"),
    ("resume plan_argument", "vae has no argument 'bta'"),
    ("sample vae --n 0", "expected 1 sample or more"),
    ("sample vae --prompt a", "continues no text"),
    ("sample gpt --prompt ''", "the prompt is empty"),
    ("sample gpt --prompt ☃", "is not in the vocabulary"),
    ("sample gpt --prompt ab --length -1", "expected a length of 0 tokens or more"),
    ("sample mlp", "makes no samples"),
    ("sample vae --out empty.csv/x.png", "could not write empty.csv/x.png"),
    ("sample vae --seed 99999999999999999999", "expected a seed between"),
    ("export vae --out empty.csv", "empty.csv: file exists"),
    ("export torn", "is damaged"),
    ("predict lenet nowhere.png", "there is no file nowhere.png"),
    ("predict lenet empty", "empty has no images"),
    ("predict vae junk.png", "predicts nothing from images"),
    ("predict mlp t.csv t.csv", "expected one file with the rows of a table, got 2: t.csv, t.csv"),
    ("predict mlp t.csv", "columns that the model was trained on are missing"),
    ("predict mlp .", ". is a folder"),
    ("compare vae", "name two methods or more"),
    ("compare vae vae", "name two methods or more"),
    ("compare vae glow --seeds 0", "expected 1 seed or more"),
    ("compare vae --seed 1 2", "give their number"),
    ("compare vae --beta 1 2 --folder full", "full is not empty"),
    ("compare vae --beta 1 2 --budget huge", "has no budget 'huge'"),
    ("compare vae glow --launcher ''", "the launcher is empty"),
    ('compare vae glow --launcher "\'"', "no closing quotation"),
    ("compare vae glow --launcher nosuch", "the launcher 'nosuch' is not found"),
    ("prove vae --launcher nosuch", "is not found"),
    ("prove vae --seeds 0", "expected one seed or more"),
    ("prove vae --seeds -3", "expected one seed or more"),
    ("prove vae --steps 3", "not steps"),
    ("data get nothing", "unknown data set 'nothing'"),
    ("data check nowhere", "or give the path of your own data"),
    ("data check t.csv --kind x", "unknown kind 'x'"),
    ("data check t.csv --read separator=abc", "one character"),
    ("data check t.csv --read encoding=no", "no text encoding 'no'"),
    ("find zzzzqqqq", "nothing is like"),
    ("find ' '", "nothing to look for"),
    ("show ''", "nothing to look for"),
    ("show GEN-9999", "nothing is called"),
]


@pytest.mark.parametrize(
    ("line", "words", "status"), [(*case, 2) for case in USAGE] + [(*case, 1) for case in MISTAKES]
)
def test_a_wrong_line_is_answered_by_one_line(run, line, words, status):
    found, _, err = run(line)
    assert found == status, err
    assert re.fullmatch(r"deepcanon: [^\n]+\n", err), err
    assert words in err
    assert "bug in deepcanon" not in err


@pytest.mark.parametrize("name", CUT)
def test_a_state_that_does_not_fit_is_named(run, name):
    for verb in ("resume", "evaluate"):
        status, _, err = run(f"{verb} state_{name}")
        if verb == "evaluate" and name in ("no_log", "player", "callbacks"):
            assert status == 0  # the weights, which are all that it needs, are whole
            continue
        assert status == 1
        assert "bug in deepcanon" not in err
        assert f"state_{name}" in err.splitlines()[-1]
        assert re.search(
            r"state_\w+/state does not fit VAE|no checkpoint|has no part 'nobody'", err.splitlines()[-1]
        )


@pytest.mark.parametrize(
    ("line", "words", "place"),
    [
        (
            "train ppo --env ./envs.py:Broken",
            "environment './envs.py:Broken', reset: its reset() raised KeyError: 'position'",
            "16, reset",
        ),
        ("train dqn --env ./envs.py:Late --env-steps 300", "its step() raised KeyError: 'speed'", "19, move"),
        ("data check ./envs.py:Broken", "its reset() raised KeyError: 'position'", "16, reset"),
        ("train ppo --env ./envs.py:Closed", "cannot be made: ValueError: no licence", "22, __init__"),
    ],
)
def test_an_exception_of_the_users_own_code_has_its_file_and_line(run, line, words, place):
    status, _, err = run(line)
    last = err.splitlines()[-1]
    assert status == 1
    assert words in last
    assert last.endswith(f"; raised in envs.py, line {place}")


def caught(call) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("kind", ["KeyError", "RuntimeError", "ValueError", "IndexError", "TypeError"])
def test_any_exception_of_a_users_callback_is_not_called_a_bug(tmp_path, monkeypatch, capsys, kind):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        f"class Callback:\n    def step(self, trainer):\n        raise {kind}('too low')\n"
    )
    names: dict = {}
    exec(compile(Path("mine.py").read_text(), str(tmp_path / "mine.py"), "exec"), names)
    method, data = build("vae")
    error = caught(lambda: fit(method, data, Adam(1e-3), steps=2, callbacks=[names["Callback"]()]))
    assert errors.report(error) == 1
    said = capsys.readouterr().err
    assert "too low" in said
    assert said.endswith("raised in mine.py, line 3, step\n")
    assert "bug" not in said


def test_a_used_up_generator_is_called_used_up():
    method, data = build("vae")
    batches = (data.at(i) for i in range(2))
    with pytest.raises(ValueError, match="this generator is used up after 2 batches"):
        fit(method, batches, Adam(1e-3), steps=5)
    with pytest.raises(ValueError, match="list holds no batch"):
        fit(method, [], Adam(1e-3), steps=5)


# memory and disk


@pytest.mark.parametrize(
    ("error", "amount"),
    [
        (MemoryError(), ""),
        (
            MemoryError("Unable to allocate 7.45 GiB for an array with shape (1000000000,)"),
            ": 7.45 GiB were asked for",
        ),
        (
            torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of"
            ),
            ": 2.50 GiB were asked for",
        ),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
                "you tried to allocate "
                "5748000000000000 bytes. Error code 12"
            ),
            ": 5,353,242.2 GiB were asked for",
        ),
        (RuntimeError("std::bad_alloc"), ""),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), ""),
        (RuntimeError("Storage size calculation overflowed with sizes=[9999999999]"), ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_out_of_memory_says_what_to_lower(capsys, error, amount):
    assert errors.report(error) == 1
    assert (
        capsys.readouterr().err
        == f"deepcanon: out of memory{amount}; lower --batch, the --size of pictures, or the width of the nets"
        "\n"
    )


def test_pictures_that_are_too_large_for_the_memory_are_no_bug(run):
    assert run("train vae --size 1000000 --steps 1")[2].startswith(
        "deepcanon: out of memory: 5,353,242.2 GiB were asked for; lower"
    )


def limited():
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))


@pytest.mark.parametrize(
    "line", ["train vae --steps 1 --folder disk1", "sample vae", "export vae --to torch --out disk2"]
)
def test_a_full_disk_is_one_line(bench, line):
    done = subprocess.run(
        [sys.executable, "-m", "deepcanon", *shlex.split(line)],
        cwd=bench,
        preexec_fn=limited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert re.search(r"could not write .* \(File too large\)", last), done.stderr
    assert "bug" not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_that_takes_nothing_more_is_said():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "deepcanon", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        1,
        "deepcanon: could not write the output: no space left on device\n",
    )


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ModuleNotFoundError("No module named 'wandb.sdk'", name="wandb.sdk"),
            "this needs wandb, which is not installed: pip install wandb",
        ),
        (
            ModuleNotFoundError("environment 'X-v0' needs Gymnasium: pip install \"deepcanon[rl]\""),
            "environment 'X-v0' needs Gymnasium: pip install \"deepcanon[rl]\"",
        ),
    ],
)
def test_a_package_that_is_missing_is_named(capsys, error, line):
    assert errors.report(error) == 1
    assert capsys.readouterr().err == f"deepcanon: {line}\n"
