"""PPO on CartPole-v1 beside Stable-Baselines3 and CleanRL's ppo.py: environment steps a second, and returns, of whole runs in alternation.

All: 8 envs x 128 steps, 4 epochs of minibatches of 256, nets 4-64-64-2 and 4-64-64-1 with tanh and orthogonal weights, Adam 2.5e-4 falling to 0,
gamma 0.99, lambda 0.95, clip 0.2, entropy 0.01, squared error of the values times 0.5, gradient norm 0.5. Imports are not counted.

    pip install --target sb3 --no-deps stable-baselines3 cloudpickle pandas
    CLEANRL=cleanrl SB3=sb3 python benchmarks/ppo.py      # `agents` says where CleanRL comes from
"""

import os
import statistics
import sys
import time

import torch
from agents import cleanrl, compete
from torch import nn

STEPS = 50_000
TARGETS = [("environment steps", "ours", "CleanRL", 2.0), ("environment steps", "ours", "Stable-Baselines3", 2.0)]


def net(*dims: int, last: float) -> nn.Module:
    """A perceptron that starts as the peers' do."""
    from deepcanon.nets.perceptron import mlp

    made = mlp(*dims, activation=nn.Tanh)
    *_, head, _ = params = [*made.parameters()]
    for weight, bias in zip(params[::2], params[1::2]):
        nn.init.orthogonal_(weight, last if weight is head else 2**0.5)
        nn.init.zeros_(bias)
    return made


def ours(seed: int) -> dict[str, float]:
    """One run through `fit`."""
    from deepcanon.data.rollouts import Rollouts
    from deepcanon.data.vector_envs import envs
    from deepcanon.engine import Adam, fit, linear, options
    from deepcanon.rl.ppo import PPO

    torch.manual_seed(seed)
    method = PPO(net(4, 64, 64, 2, last=0.01), net(4, 64, 64, 1, last=1.0), entropy=0.01)
    data = Rollouts(envs("CartPole-v1", 8), method, steps=128, seed=seed)
    start = time.perf_counter()
    with options(quiet=True):
        fit(method, data, Adam(2.5e-4, eps=1e-5, schedule=linear()), steps=STEPS // 1024, seed=seed, clip_norm=0.5)
    return {"speed": data.env_steps / (time.perf_counter() - start), "return": statistics.mean(data.returns[-20:])}


def sb3(seed: int) -> dict[str, float]:
    """One run of Stable-Baselines3."""
    sys.path.append(os.environ["SB3"])
    from stable_baselines3 import PPO  # pyright: ignore[reportMissingImports]
    from stable_baselines3.common.env_util import make_vec_env  # pyright: ignore[reportMissingImports]

    envs = make_vec_env("CartPole-v1", 8, seed=seed)
    method = PPO("MlpPolicy", envs, learning_rate=lambda left: 2.5e-4 * left, n_steps=128, batch_size=256, n_epochs=4, ent_coef=0.01,
                 stats_window_size=20, seed=seed, device="cpu")
    start = time.perf_counter()
    method.learn(STEPS // 1024 * 1024)
    seconds = time.perf_counter() - start
    return {"speed": method.num_timesteps / seconds, "return": statistics.mean(float(episode["r"]) for episode in method.ep_info_buffer)}


if __name__ == "__main__":
    peer = cleanrl("ppo.py", f"--total-timesteps={STEPS}", "--num-envs=8", "--vf-coef=1.0", "--no-clip-vloss", last=20)
    compete("ppo", f"PPO on CartPole-v1, {STEPS:,} steps", {"ours": ours, "Stable-Baselines3": sb3, "CleanRL": peer}, TARGETS, last=20,
            needs=["CLEANRL", "SB3"])
