"""Reinforcement learning."""

from deepcanon.rl.dqn import DQN
from deepcanon.rl.evaluate import returns

__all__ = ["DQN", "returns"]
