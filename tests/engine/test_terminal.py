"""One bar on a terminal, nothing anywhere else."""

import os
import pty
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import time
from deepcanon.engine import Adam, fit
from tests.engine.shapes import build

class Slow:
    def step(self, trainer):
        time.sleep(0.02)

fit(*build("vae"), Adam(1e-3), steps=40, log_every=10, callbacks=[Slow()])
"""


def on_a_terminal(code: str) -> str:
    """What a program writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs,
                          env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "PYTHONPATH": str(ROOT)}) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                said += (more := os.read(ours, 4096))
            except OSError:                                            # the other end is closed
                break
            if not more:
                break
    os.close(ours)
    assert process.returncode == 0, said.decode()
    return said.decode()


def test_a_bar_on_a_terminal():
    said = on_a_terminal(SCRIPT)
    assert "VAE" in said
    assert "40/40" in said
    assert "steps/s" in said
    assert "loss " in said


def test_silence_elsewhere():
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.stdout + done.stderr == ""


NOTEBOOK = """
import builtins, sys, time, types
outputs = []

class Handle:
    def update(self, html):
        outputs.append(html)

def display(html, display_id):
    outputs.append(html)
    return Handle()

class ZMQInteractiveShell:
    config = {}

ipython = types.ModuleType("IPython")
ipython.display = types.ModuleType("IPython.display")
ipython.display.HTML, ipython.display.display = str, display
sys.modules |= {"ipykernel": types.ModuleType("ipykernel"), "IPython": ipython, "IPython.display": ipython.display}
builtins.get_ipython = ZMQInteractiveShell
""" + SCRIPT + """
print(len(outputs))
print(outputs[0])
print(outputs[-1])
"""


def test_a_bar_in_a_notebook():
    done = subprocess.run([sys.executable, "-c", NOTEBOOK], cwd=ROOT, capture_output=True, text=True, check=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})
    count, first, *_ = done.stdout.strip().splitlines()
    assert int(count) >= 3
    assert "VAE" in first
    assert "0/40" in first
    assert first.startswith("<pre ")
    assert "40/40" in done.stdout
    rate = float(done.stdout.rpartition(" steps/s")[0].rpartition(" ")[2])
    assert 1 < rate < 50
