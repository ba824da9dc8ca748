"""Under torchrun: the command line ends with one report, a signal to one rank stops both and saves, and no rank waits for one that has failed."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from deepcanon.engine.checkpoint import read_json, read_weights

ROOT = Path(__file__).parents[2]
SCRIPT = str(Path(__file__).with_name("torchrun_script.py"))
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}


def started(*words: str, cwd: Path = ROOT, environment: dict[str, str] | None = None) -> subprocess.Popen:
    """A Python process."""
    return subprocess.Popen([sys.executable, *words], cwd=cwd, env=ENVIRONMENT | (environment or {}), stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def torchrun(*words: str, cwd: Path = ROOT) -> subprocess.Popen:
    """Two ranks of a script or, with -m, of a module."""
    return started("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *words, cwd=cwd)


def script(folder: Path, steps: int, *words: str) -> subprocess.Popen:
    return torchrun(SCRIPT, str(folder), str(steps), *words)


def command(cwd: Path, *words: str) -> str:
    """What `deepcanon` on two ranks says, which must end well."""
    process = torchrun("-m", "deepcanon", *words, cwd=cwd)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, str]:
    """A run of several stages by two ranks: its folder, and what was said."""
    cwd = tmp_path_factory.mktemp("torchrun")
    said = command(cwd, "train", "vq_vae", "--steps", "4", "--prior-steps", "4")
    (run,) = (cwd / "runs" / "vq_vae").iterdir()
    return run, said


def test_the_command_line_ends_with_one_report(trained):
    run, said = trained
    assert said.count("12 steps in") == 1, said
    assert said.count("report.html") == 1, said
    assert (run / "report.html").exists()
    assert (run / "stage3" / "weights.safetensors").exists()


def test_a_run_of_several_stages_is_resumed_to_the_same_bits(trained):
    run, _ = trained
    expected = read_weights(run / "stage3" / "weights.safetensors")
    for file in ("report.html", "result.json", "stage3/result.json", "stage3/weights.safetensors"):
        (run / file).unlink()                                          # as if it had been stopped in its last stage
    said = command(run.parents[2], "resume", str(run))
    assert said.count("report.html") == 1, said
    assert (run / "report.html").exists()
    ours = read_weights(run / "stage3" / "weights.safetensors")
    assert all(torch.equal(value, ours[name]) for name, value in expected.items())


def test_what_runs_on_one_process_says_so(tmp_path):
    process = torchrun("-m", "deepcanon", "compare", "vae", "gan", cwd=tmp_path)
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "deepcanon: 'compare' runs on one process: leave torchrun out; train and resume run on several" in said


def test_a_rank_does_not_wait_for_one_that_has_failed(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    ranks = [started(SCRIPT, str(tmp_path), "10000", "fail", environment=where | {"RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in (0, 1)]
    (first, _), (second, _) = (rank.communicate(timeout=60) for rank in ranks)
    assert [rank.returncode for rank in ranks] == [1, 1]
    assert "ConnectionError: another process of this run has ended; what it says last is the reason" in first
    assert "ValueError: this rank fails" in second


def test_a_signal_to_one_rank_stops_all_and_resume_ends_with_the_same_bits(tmp_path):
    unbroken = script(tmp_path / "unbroken", 60)
    said, _ = unbroken.communicate(timeout=120)
    assert unbroken.returncode == 0, said
    assert "rank 0 made 60 steps" in said
    assert "rank 1 made 60 steps" in said

    stopped = script(tmp_path / "stopped", 60)
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

    resumed = script(tmp_path / "stopped", 60, "resume")
    said, _ = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, said
    assert read_json(run / "result.json")["steps"] == 60
    expected, ours = (read_weights(folder / "run" / "weights.safetensors") for folder in (tmp_path / "unbroken", tmp_path / "stopped"))
    assert all(torch.equal(value, ours[name]) for name, value in expected.items())
