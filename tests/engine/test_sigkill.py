"""A real recipe, killed at 20 random moments and resumed, ends with the weights of the run that nobody disturbed."""

import csv
import subprocess
import sys
from pathlib import Path

import torch

from deepcanon.engine.checkpoint import read_json, read_weights
from tests.timing import untimed

ROOT = Path(__file__).parents[2]


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metrics.csv", newline="") as file:
        return [untimed(row) for row in csv.DictReader(file)]


def test_killed_at_random_moments(tmp_path):
    script = [sys.executable, str(Path(__file__).with_name("kill_script.py")), str(tmp_path), "20", "3000"]
    ended = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stderr
    assert ", 0 tries ended before their kill" in ended.stdout
    unbroken, killed = (read_weights(tmp_path / folder / "weights.safetensors") for folder in ("unbroken", "killed"))
    assert all(torch.equal(value, killed[name]) for name, value in unbroken.items())
    assert rows(tmp_path / "unbroken") == rows(tmp_path / "killed")
    results = [untimed(read_json(tmp_path / folder / "result.json")["results"]) for folder in ("unbroken", "killed")]
    assert results[0] == results[1]
    assert not [f for f in (tmp_path / "killed" / "state").iterdir() if f.suffix not in (".all", ".rank0")]


def test_killed_at_file_operations():
    script = [sys.executable, "-m", "tests.engine.kills", "11", "autoencoder", "vq_vae"]
    ended = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("the same bits and files each time") == 2
