"""Reinforcement learning."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.rl.critics import Critics as Critics
    from deepcanon.rl.dqn import DQN as DQN
    from deepcanon.rl.evaluate import returns as returns
    from deepcanon.rl.functional import gae as gae
    from deepcanon.rl.policies import Policy as Policy
    from deepcanon.rl.ppo import PPO as PPO
    from deepcanon.rl.sac import SAC as SAC

attach(__name__)
