"""SAC on Pendulum-v1 beside CleanRL's sac_continuous_action.py: environment steps a second, and returns, of whole runs in alternation.

Both: actor 3-256-256-2, two critics 4-256-256-1, batch 256 and one update of everything each step after 1,000, Adam 1e-3 (actor 3e-4),
gamma 0.99, targets moved by 0.005. CleanRL's speed is its own count (imports excluded), as ours is; it makes its actor's updates by twos.

    git clone https://github.com/vwxyzjn/cleanrl
    pip install --target cleanrl/packages --no-deps gymnasium==0.29.1 farama-notifications numpy==1.26.4
    CLEANRL=cleanrl python benchmarks/sac.py
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from record import entries, record

STEPS, SEEDS = 5_000, range(1, 6)
TARGETS = [("environment steps", "ours", "CleanRL", 1.25)]


def ours(seed: int) -> dict:
    """One run through `fit`."""
    from deepcanon.data.envs import action_bounds, env
    from deepcanon.data.experience import Experience, after
    from deepcanon.engine import Adam, fit, options
    from deepcanon.nets.mlp import mlp
    from deepcanon.rl.critics import Critics
    from deepcanon.rl.sac import SAC

    torch.manual_seed(seed)
    world = env("Pendulum-v1")
    method = SAC(mlp(3, 256, 256, 2), Critics(3, 1, 256, 256), bounds=action_bounds(world))
    data = Experience(world, method, capacity=STEPS, batch=256, warmup=1_000, epsilon=after(1_000), seed=seed)
    start = time.perf_counter()
    with options(quiet=True):
        fit(method, data, {"critic": Adam(1e-3), "actor": Adam(3e-4), "log_alpha": Adam(1e-3)}, steps=STEPS - 1_000, seed=seed)
    return {"speed": data.env_steps / (time.perf_counter() - start), "return": statistics.mean(data.returns[-5:])}


def cleanrl(seed: int, home: Path) -> dict:
    """One run of CleanRL's script."""
    command = [sys.executable, home / "cleanrl" / "sac_continuous_action.py", f"--seed={seed}", "--env-id=Pendulum-v1", f"--total-timesteps={STEPS}",
               "--learning-starts=1000", "--no-cuda"]
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": f"{home}:{home / 'packages'}"}, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"CleanRL's sac_continuous_action.py failed: {run.stderr.strip().splitlines()[-1]}")
    found = re.findall(r"episodic_return=\[?(-?[\d.]+)", run.stdout)
    return {"speed": float(re.findall(r"SPS: (\d+)", run.stdout)[-1]), "return": statistics.mean(map(float, found[-5:]))}


def in_a_new_process(seed: int) -> dict:
    """`ours`, with the same start as the peer."""
    return json.loads(subprocess.run([sys.executable, __file__, str(seed)], stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> None:
    home = Path(os.environ.get("CLEANRL", "")).resolve()
    if not (home / "cleanrl" / "sac_continuous_action.py").exists():
        raise SystemExit("set CLEANRL to a checkout of https://github.com/vwxyzjn/cleanrl with its packages, as the head of this file says")
    runs: dict[str, list[dict]] = {"ours": [], "CleanRL": []}
    for seed in SEEDS:
        for name, run in (("ours", in_a_new_process(seed)), ("CleanRL", cleanrl(seed, home))):
            runs[name].append(run)
            print(f"seed {seed}  {name:7}  {run['speed']:8.0f} env steps/s   last 5 training returns {run['return']:7.1f}", flush=True)
    rate = {name: statistics.median(run["speed"] for run in each) for name, each in runs.items()}
    returns = {name: statistics.mean(run["return"] for run in each) for name, each in runs.items()}
    record("sac", f"SAC on Pendulum-v1, {STEPS:,} steps", "env steps/s", entries(rate, TARGETS), last_5_training_returns=returns, runs=runs)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(ours(int(sys.argv[1]))))
    else:
        main()
