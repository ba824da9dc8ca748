"""Kills a recipe with SIGKILL again and again: python kill_script.py FOLDER KILLS STEPS. Each try is a fork of this process."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from deepcanon.data import images
from deepcanon.engine import options
from deepcanon.recipes import vae


def start(folder: Path, resume: bool) -> int:
    """A process that runs the recipe in `folder`, from its last checkpoint if there is one; its id."""
    if (process := os.fork()) == 0:
        with options(folder=folder, quiet=True, resume=resume, save_seconds=0.02):
            vae("digits", steps=steps)
        os._exit(0)
    return process


def check_end(process: int) -> None:
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0


base, kills, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
next(iter(images("digits")))                                           # the data are in memory before the first fork
began = time.perf_counter()
check_end(start(base / "unbroken", resume=False))
length, moments = time.perf_counter() - began, random.Random(0)
survived = 0
for _ in range(kills):
    process = start(base / "killed", resume=True)
    time.sleep(moments.uniform(0.0, 1.5 * length / kills))
    os.kill(process, signal.SIGKILL)
    survived += os.waitpid(process, 0)[1] != signal.SIGKILL
print(f"unbroken {length:.1f} s, {survived} tries ended before their kill", flush=True)
check_end(start(base / "killed", resume=True))
