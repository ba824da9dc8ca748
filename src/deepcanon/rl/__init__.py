"""Reinforcement learning."""

from deepcanon.rl.critics import Critics
from deepcanon.rl.dqn import DQN
from deepcanon.rl.evaluate import returns
from deepcanon.rl.ppo import PPO
from deepcanon.rl.sac import SAC

__all__ = ["DQN", "PPO", "SAC", "Critics", "returns"]
