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
