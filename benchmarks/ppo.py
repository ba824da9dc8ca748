"""PPO on CartPole-v1 beside Stable-Baselines3 and CleanRL's ppo.py: environment steps a second, and returns, of whole runs in alternation.

All: 8 worlds x 128 steps, 4 epochs of minibatches of 256, nets 4-64-64-2 and 4-64-64-1 with tanh and orthogonal weights, Adam 2.5e-4 falling to 0,
gamma 0.99, lambda 0.95, clip 0.2, entropy 0.01, squared error of the values times 0.5, gradient norm 0.5. Imports are not counted.

    git clone https://github.com/vwxyzjn/cleanrl
    pip install --target cleanrl/packages --no-deps gymnasium==0.29.1 farama-notifications numpy==1.26.4
    pip install --target sb3 --no-deps stable-baselines3 cloudpickle pandas
    CLEANRL=cleanrl SB3=sb3 python benchmarks/ppo.py
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
from torch import nn

STEPS, SEEDS = 50_000, range(1, 6)
TARGETS = [("environment steps", "ours", "CleanRL", 2.0), ("environment steps", "ours", "Stable-Baselines3", 2.0)]


def net(*dims: int, last: float) -> nn.Module:
    """A perceptron that starts as the peers' do."""
    from deepcanon.nets.mlp import mlp

    made = mlp(*dims, activation=nn.Tanh)
    *_, head, _ = params = [*made.parameters()]
    for weight, bias in zip(params[::2], params[1::2]):
        nn.init.orthogonal_(weight, last if weight is head else 2**0.5)
        nn.init.zeros_(bias)
    return made


def ours(seed: int) -> dict:
    """One run through `fit`."""
    from deepcanon.data.rollouts import Rollouts
    from deepcanon.data.worlds import envs
    from deepcanon.engine import Adam, fit, linear, options
    from deepcanon.rl.ppo import PPO

    torch.manual_seed(seed)
    method = PPO(net(4, 64, 64, 2, last=0.01), net(4, 64, 64, 1, last=1.0), entropy=0.01)
    data = Rollouts(envs("CartPole-v1", 8), method, steps=128, seed=seed)
    start = time.perf_counter()
    with options(quiet=True):
        fit(method, data, Adam(2.5e-4, eps=1e-5, schedule=linear()), steps=STEPS // 1024, seed=seed, clip_norm=0.5)
    return {"speed": data.env_steps / (time.perf_counter() - start), "return": statistics.mean(data.returns[-20:])}


def sb3(seed: int) -> dict:
    """One run of Stable-Baselines3."""
    sys.path.append(os.environ["SB3"])
    from stable_baselines3 import PPO  # pyright: ignore[reportMissingImports]
    from stable_baselines3.common.env_util import make_vec_env  # pyright: ignore[reportMissingImports]

    worlds = make_vec_env("CartPole-v1", 8, seed=seed)
    method = PPO("MlpPolicy", worlds, learning_rate=lambda left: 2.5e-4 * left, n_steps=128, batch_size=256, n_epochs=4, ent_coef=0.01,
                 stats_window_size=20, seed=seed, device="cpu")
    start = time.perf_counter()
    method.learn(STEPS // 1024 * 1024)
    seconds = time.perf_counter() - start
    return {"speed": method.num_timesteps / seconds, "return": statistics.mean(float(episode["r"]) for episode in method.ep_info_buffer)}


def cleanrl(seed: int) -> dict:
    """One run of CleanRL's script."""
    home = Path(os.environ["CLEANRL"]).resolve()
    command = [sys.executable, home / "cleanrl" / "ppo.py", f"--seed={seed}", f"--total-timesteps={STEPS}", "--num-envs=8", "--vf-coef=1.0",
               "--no-clip-vloss", "--no-cuda"]
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": f"{home}:{home / 'packages'}"}, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"CleanRL's ppo.py failed: {run.stderr.strip().splitlines()[-1]}")
    found = re.findall(r"episodic_return=\[?([\d.]+)", run.stdout)
    return {"speed": float(re.findall(r"SPS: (\d+)", run.stdout)[-1]), "return": statistics.mean(map(float, found[-20:]))}


CONTENDERS = {"ours": ours, "Stable-Baselines3": sb3, "CleanRL": cleanrl}


def in_a_new_process(name: str, seed: int) -> dict:
    """The run of a contender, each with the same start."""
    return json.loads(subprocess.run([sys.executable, __file__, name, str(seed)], stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> None:
    if missing := [name for name in ("CLEANRL", "SB3") if not os.environ.get(name)]:
        raise SystemExit(f"set {' and '.join(missing)} as the head of this file says")
    runs: dict[str, list[dict]] = {name: [] for name in CONTENDERS}
    for seed in SEEDS:
        for name in CONTENDERS:
            runs[name].append(run := in_a_new_process(name, seed))
            print(f"seed {seed}  {name:17}  {run['speed']:8.0f} env steps/s   last 20 training returns {run['return']:6.1f}", flush=True)
    rate = {name: statistics.median(run["speed"] for run in each) for name, each in runs.items()}
    returns = {name: statistics.mean(run["return"] for run in each) for name, each in runs.items()}
    record("ppo", f"PPO on CartPole-v1, {STEPS:,} steps", "env steps/s", entries(rate, TARGETS), last_20_training_returns=returns, runs=runs)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(CONTENDERS[sys.argv[1]](int(sys.argv[2]))))
    else:
        main()
