"""DQN on CartPole-v1 beside CleanRL's dqn.py: environment steps a second, and returns, of whole runs in alternation.

Both: net 4-120-84-2, Adam 2.5e-4, squared error, batch 128 every 10th step after 1,000, buffer of 10,000, target copied every 500 steps,
epsilon from 1 to 0.05 in half of the 20,000 steps. CleanRL's speed is its own count (imports excluded), as ours is.

    git clone https://github.com/vwxyzjn/cleanrl
    pip install --target cleanrl/packages --no-deps gymnasium==0.29.1 farama-notifications numpy==1.26.4
    CLEANRL=cleanrl python benchmarks/dqn.py
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

STEPS, SEEDS = 20_000, range(1, 6)
TARGETS = [("environment steps", "ours", "CleanRL", 2.0)]


def ours(seed: int) -> dict:
    """One run through `fit`."""
    import torch.nn.functional as F

    from deepcanon.data.envs import env
    from deepcanon.data.experience import Experience, anneal
    from deepcanon.engine import Adam, fit, options
    from deepcanon.nets.mlp import mlp
    from deepcanon.rl.dqn import DQN

    torch.manual_seed(seed)
    method = DQN(mlp(4, 120, 84, 2), regression=F.mse_loss, every=50)
    data = Experience(env("CartPole-v1"), method, capacity=10_000, warmup=1_000, every=10, epsilon=anneal(1.0, 0.05, STEPS // 2), seed=seed)
    start = time.perf_counter()
    with options(quiet=True):
        fit(method, data, Adam(2.5e-4), steps=(STEPS - 1_000) // 10 + 1, seed=seed)
    return {"speed": data.env_steps / (time.perf_counter() - start), "return": statistics.mean(data.returns[-20:])}


def cleanrl(seed: int, home: Path) -> dict:
    """One run of CleanRL's script."""
    command = [sys.executable, home / "cleanrl" / "dqn.py", f"--seed={seed}", f"--total-timesteps={STEPS}", "--learning-starts=1000", "--no-cuda"]
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": f"{home}:{home / 'packages'}"}, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"CleanRL's dqn.py failed: {run.stderr.strip().splitlines()[-1]}")
    found = re.findall(r"episodic_return=\[?([\d.]+)", run.stdout)
    return {"speed": float(re.findall(r"SPS: (\d+)", run.stdout)[-1]), "return": statistics.mean(map(float, found[-20:]))}


def in_a_new_process(seed: int) -> dict:
    """`ours`, with the same start as the peer."""
    return json.loads(subprocess.run([sys.executable, __file__, str(seed)], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    home = Path(os.environ.get("CLEANRL", "")).resolve()
    if not (home / "cleanrl" / "dqn.py").exists():
        raise SystemExit("set CLEANRL to a checkout of https://github.com/vwxyzjn/cleanrl with its packages, as the head of this file says")
    runs: dict[str, list[dict]] = {"ours": [], "CleanRL": []}
    for seed in SEEDS:
        for name, run in (("ours", in_a_new_process(seed)), ("CleanRL", cleanrl(seed, home))):
            runs[name].append(run)
            print(f"seed {seed}  {name:7}  {run['speed']:8.0f} env steps/s   last 20 training returns {run['return']:6.1f}", flush=True)
    rate = {name: statistics.median(run["speed"] for run in each) for name, each in runs.items()}
    returns = {name: statistics.mean(run["return"] for run in each) for name, each in runs.items()}
    record("dqn", f"DQN on CartPole-v1, {STEPS:,} steps", "env steps/s", entries(rate, TARGETS), last_20_training_returns=returns, runs=runs)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(ours(int(sys.argv[1]))))
    else:
        main()
