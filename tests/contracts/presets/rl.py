"""Presets of the family rl."""

import numpy as np
import torch
from torch import Tensor

from deepcanon.nets.perceptron import mlp
from deepcanon.rl.critics import Critics
from deepcanon.rl.dqn import DQN
from deepcanon.rl.ppo import PPO
from deepcanon.rl.sac import SAC
from tests.contracts.presets.common import Preset


def transitions(n: int = 32) -> tuple[Tensor, ...]:
    """Observations, actions, rewards, next observations, terminations."""
    return torch.randn(n, 3), torch.randint(2, (n,)), torch.randn(n), torch.randn(n, 3), (torch.rand(n) < 0.3).float()


def rollout(steps: int = 8, envs: int = 4) -> tuple[Tensor, ...]:
    """Observations, actions, rewards, next observations, terminations, ends; steps x envs."""
    s, over = torch.randn(steps + 1, envs, 3), (torch.rand(steps, envs) < 0.2).float()
    return s[:-1], torch.randint(2, (steps, envs)), torch.randn(steps, envs), s[1:], over, over


def pushes(n: int = 32) -> tuple[Tensor, ...]:
    """Transitions under real actions."""
    s, _, r, s_next, terminated = transitions(n)
    return s, torch.rand(n, 1) * 2 - 1, r, s_next, terminated


def small_sac() -> SAC:
    """Two critics, one action in [-1, 1]."""
    return SAC(mlp(3, 16, 2), Critics(3, 1, 16), bounds=(-np.ones(1, np.float32), np.ones(1, np.float32)))


PRESETS = {
    "dqn": Preset(lambda: DQN(mlp(3, 16, 2)), transitions, learns="q", frozen=("target",)),
    "ppo": Preset(lambda: PPO(mlp(3, 16, 2), mlp(3, 16, 1), gamma=0.5, epochs=1, minibatch=32), rollout),
    "sac": Preset(small_sac, pushes, learns="critic", frozen=("target",)),
}
