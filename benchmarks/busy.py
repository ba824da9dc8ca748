"""What a run costs on a machine that does something else as well: threads that spin, threads that soon sleep, and one thread.

    python benchmarks/busy.py [--rounds 5] [--steps 500]

500 steps of a small VAE on the digits, each a process of its own, in turns: quiet, and beside two processes that are busy all
the time. "spinning" is how GNU OpenMP waits by default, "ours" how the command line has it wait, "passive" is
OMP_WAIT_POLICY=PASSIVE. Seconds are those of the training.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from record import entry, record

from deepcanon.cli import SPINS
from deepcanon.engine.checkpoint import read_json

WAYS = {
    "ours": {"GOMP_SPINCOUNT": SPINS},
    "spinning": {"GOMP_SPINCOUNT": "300000"},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


def seconds(way: str, steps: int) -> float:
    """The training seconds of a run in a process of its own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        words = [sys.executable, "-m", "deepcanon", "train", "vae", "--steps", str(steps), "--quiet", "--folder", str(run)]
        subprocess.run(words, env=plain | WAYS[way], check=True, capture_output=True)
        return read_json(run / "result.json")["seconds"]


def measured(rounds: int, steps: int, ways: list[str]) -> dict[str, list[float]]:
    """The seconds of each way, in turns."""
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            found[way].append(seconds(way, steps))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=500)
    asked = parser.parse_args()
    quiet = measured(asked.rounds, asked.steps, list(WAYS))
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        busy = measured(asked.rounds, asked.steps, list(WAYS))
    finally:
        for other in others:
            other.kill()
    middle = {f"{way}, {when}": statistics.median(times) for when, found in (("quiet", quiet), ("busy", busy)) for way, times in found.items()}
    entries = [entry("beside two busy processes", middle, "ours, busy", "ours, quiet", 4.0, kind="seconds")]
    entries += [entry(f"{when}", middle, f"ours, {when}", f"{way}, {when}", kind="seconds") for when in ("quiet", "busy") for way in list(WAYS)[1:]]
    record("busy", f"{asked.steps} steps of a VAE on the digits", "s", entries, quiet=quiet, busy=busy)


if __name__ == "__main__":
    main()
