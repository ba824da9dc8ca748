"""A script under torchrun: a signal to one rank stops both and saves; resumed, it ends with the bits of the unbroken run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from deepcanon.engine.checkpoint import read_json, read_weights

ROOT = Path(__file__).parents[2]


def torchrun(folder: Path, steps: int, *words: str) -> subprocess.Popen:
    script = [str(Path(__file__).with_name("torchrun_script.py")), str(folder), str(steps), *words]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *script]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_signal_to_one_rank_stops_all_and_resume_ends_with_the_same_bits(tmp_path):
    unbroken = torchrun(tmp_path / "unbroken", 60)
    said, _ = unbroken.communicate(timeout=120)
    assert unbroken.returncode == 0, said
    assert "rank 0 made 60 steps" in said
    assert "rank 1 made 60 steps" in said

    stopped = torchrun(tmp_path / "stopped", 60)
    deadline = time.monotonic() + 120
    while not (tmp_path / "stopped" / "begun1").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(int((tmp_path / "stopped" / "pid1").read_text()), signal.SIGTERM)
    said, _ = stopped.communicate(timeout=120)
    run = tmp_path / "stopped" / "run"
    assert stopped.returncode != 0
    assert said.count("stopped by SIGTERM at step") == 1, said
    assert not (run / "result.json").exists()
    saved = sorted(f.name for f in (run / "state").iterdir())
    assert [name.split(".")[1] for name in saved] == ["all", "rank0", "rank1"]
    assert 10 <= int(saved[0].split(".")[0]) < 60

    resumed = torchrun(tmp_path / "stopped", 60, "resume")
    said, _ = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, said
    assert read_json(run / "result.json")["steps"] == 60
    expected, ours = (read_weights(folder / "run" / "weights.safetensors") for folder in (tmp_path / "unbroken", tmp_path / "stopped"))
    assert all(torch.equal(value, ours[name]) for name, value in expected.items())
