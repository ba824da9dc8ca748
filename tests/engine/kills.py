"""Kills a run with SIGKILL at one file operation after the other, and resumes it: `python -m tests.engine.kills [EVERY [RECIPE ...]]`.

A file operation is what Python reports to its audit hooks: opening a file to write, renaming, removing, making a folder, below the run's own folder.
Each try is a fork of this process, so that torch is imported once.
"""

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from deepcanon import runs
from deepcanon.engine import options
from deepcanon.engine.checkpoint import read_weights

RUNS = {
    "autoencoder": {"data": "digits", "steps": 4},
    "wgan_gp": {"data": "digits", "steps": 3},
    "vq_vae": {"data": "digits", "steps": 3, "prior_steps": 3},
    "gpt": {"steps": 3, "context": 16, "batch": 4},
    "ppo": {"env": "tests.test_recipes:Walk", "env_steps": 96, "num_envs": 2, "horizon": 16},
    "maml": {"steps": 3, "test_tasks": 2},
}
OPERATIONS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}


def count_operations(folder: Path, act: Callable[[int], None]) -> None:
    """Call act(k) before the k-th file operation of this process below `folder`."""
    seen = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if (writes or event in OPERATIONS) and isinstance(arguments[0], str | os.PathLike) and folder in Path(arguments[0]).parents:
            seen += 1
            act(seen)

    sys.addaudithook(hook)


def run(name: str, folder: Path, act: Callable[[int], None] = lambda k: None) -> int:
    """Begin or resume a run in a fork of this process; its exit status, negative after a signal."""
    if (process := os.fork()) == 0:
        status = 1
        try:
            count_operations(folder, act)
            with options(folder=folder, quiet=True, save_seconds=0):
                if (folder / "call.json").exists():
                    runs.resume(folder)
                else:
                    runs.train(name, RUNS[name])
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def killed_at_every_operation(name: str, place: Path, every: int = 1, first: int = 1) -> int:
    """Kill and resume the run of a recipe at every operation first, first + every, ...; how many kills there were.

    Raises:
        AssertionError: a resumed run ends with other weights or other files than the run that nobody disturbed.
    """
    assert run(name, place / "whole") == 0
    k, kills = first, 0
    while True:
        folder = place / f"killed{k}"
        ended = run(name, folder, lambda seen, k=k: os.kill(os.getpid(), signal.SIGKILL) if seen == k else None)
        if ended == 0:
            return kills
        assert ended == -signal.SIGKILL, (name, k, ended)
        assert run(name, folder) == 0, (name, k)
        compare(place / "whole", folder)
        k, kills = k + every, kills + 1


def compare(whole: Path, killed: Path) -> None:
    """Refuse other files, or weights that differ by a bit."""
    files = [sorted(str(p.relative_to(folder)) for p in folder.rglob("*")) for folder in (whole, killed)]
    assert files[0] == files[1], (killed, set(files[0]) ^ set(files[1]))
    for file in whole.rglob("*.safetensors"):
        a, b = read_weights(file), read_weights(killed / file.relative_to(whole))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a), (killed, file.name)


if __name__ == "__main__":
    torch.set_num_threads(1)
    every, names = int(sys.argv[1]) if sys.argv[1:] else 1, sys.argv[2:] or list(RUNS)
    with tempfile.TemporaryDirectory() as place:
        for name in names:
            kills = killed_at_every_operation(name, Path(place) / name, every)
            print(f"{name}: killed at {kills} file operations, the same bits and files each time", flush=True)
