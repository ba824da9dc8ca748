"""What the benchmarks of agents share: whole runs in turns, seed by seed, each in a new process; and CleanRL's scripts as a contender.

    git clone https://github.com/vwxyzjn/cleanrl
    pip install --target cleanrl/packages --no-deps gymnasium==0.29.1 farama-notifications numpy==1.26.4
    CLEANRL=cleanrl python benchmarks/dqn.py

A contender is a function of the seed: {"speed": environment steps a second, "return": mean of the last training returns}.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from record import Target, entries, record

SEEDS = range(1, 6)
Contender = Callable[[int], dict[str, float]]


def compete(name: str, work: str, contenders: dict[str, Contender], targets: Sequence[Target], *, last: int, needs: Sequence[str]) -> None:
    """All contenders over the seeds, in turns, then results/benchmarks/<name>.json; or, when called with a contender and a seed, that one run.

    Args:
        last: training returns that a contender's "return" is the mean of.
        needs: environment variables that say where the peers are.
    """
    if len(sys.argv) > 1:
        print(json.dumps(contenders[sys.argv[1]](int(sys.argv[2]))))
        return
    if missing := [variable for variable in needs if not os.environ.get(variable)]:
        raise SystemExit(f"set {' and '.join(missing)} as the heads of {name}.py and agents.py say")
    runs: dict[str, list[dict]] = {name: [] for name in contenders}
    for seed in SEEDS:
        for contender, found in runs.items():
            command = [sys.executable, sys.argv[0], contender, str(seed)]
            found.append(run := json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))
            print(f"seed {seed}  {contender:17}  {run['speed']:8.0f} env steps/s   last {last} training returns {run['return']:7.1f}", flush=True)
    rate = {name: statistics.median(run["speed"] for run in found) for name, found in runs.items()}
    returns = {name: statistics.mean(run["return"] for run in found) for name, found in runs.items()}
    record(name, work, "env steps/s", entries(rate, targets), runs=runs, **{f"last_{last}_training_returns": returns})


def cleanrl(script: str, *flags: str, last: int) -> Contender:
    """CleanRL's script with these flags; its speed is its own count, without imports."""

    def run(seed: int) -> dict[str, float]:
        home = Path(os.environ["CLEANRL"]).resolve()
        command = [sys.executable, home / "cleanrl" / script, f"--seed={seed}", "--no-cuda", *flags]
        with tempfile.TemporaryDirectory() as folder:
            surroundings = os.environ | {"PYTHONPATH": f"{home}:{home / 'packages'}"}
            ended = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True)
        if ended.returncode:
            raise SystemExit(f"CleanRL's {script} failed: {ended.stderr.strip().splitlines()[-1]}")
        returns = re.findall(r"episodic_return=\[?(-?[\d.]+)", ended.stdout)
        return {"speed": float(re.findall(r"SPS: (\d+)", ended.stdout)[-1]), "return": statistics.mean(map(float, returns[-last:]))}

    return run
