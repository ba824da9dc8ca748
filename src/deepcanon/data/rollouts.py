"""Rollouts, the data of on-policy learning (A2C: Mnih et al. 2016, arXiv 1602.01783): several worlds, a few steps each, by the agent as it is now.

    (s_t, a_t, r_t, s_{t+1}, terminated_t, over_t),  t = 1 ... T, in N worlds;    the next rollout goes on where this one stopped

over = terminated or truncated: after it a new episode begins, and s_{t+1} is still the last observation of the old one.
T steps, N worlds, S and A the shapes of an observation and of an action.
"""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from deepcanon.data.envs import check_action
from deepcanon.data.vector_envs import Environments


@runtime_checkable
class Actors(Protocol):
    """What acts in several worlds at once: observations (N, *S) -> actions (N, *A), drawn with `rng`."""

    def acts(self, observations: np.ndarray, *, rng: np.random.Generator) -> np.ndarray: ...


class Rollouts:
    """An endless iterable of rollouts.

    Each batch is (observation (T, N, *S), action (T, N, *A), reward (T, N), next observation (T, N, *S), terminated (T, N), over (T, N));
    rewards and ends are float32.

    Args:
        envs: the worlds; this object resets them and owns their episodes.
        agent: anything with `acts(observations, rng=)`, usually the method that learns from these batches.
        steps: T.
        seed: of the worlds and the draws of actions.

    Raises:
        ValueError: a rollout without a step; later, actions that are none of these worlds'.
    """

    def __init__(self, envs: Environments, agent: Actors, *, steps: int = 128, seed: int = 0):
        if steps < 1:
            raise ValueError(f"expected rollouts of one step or more, got {steps}")
        self.envs, self.agent, self.steps, self.seed = envs, agent, steps, seed
        self.rng = np.random.default_rng([seed, 1])
        self.observation = envs.reset(seed=seed)
        self.episode_return, self.env_steps = np.zeros(envs.count), 0
        self.returns: list[float] = []                                           # of the finished episodes

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return self

    def __next__(self) -> tuple[Tensor, ...]:
        s, a, r, s_next, terminated, over = map(np.stack, zip(*(self.step() for _ in range(self.steps))))
        ends = (column.astype(np.float32) for column in (r, terminated, over))
        r, terminated, over = map(torch.from_numpy, ends)
        return torch.from_numpy(s), torch.from_numpy(a), r, torch.from_numpy(s_next), terminated, over

    def shard(self, rank: int, world: int) -> "Rollouts":
        """The same with the random streams of one of several ranks, from the start."""
        return Rollouts(self.envs, self.agent, steps=self.steps, seed=self.seed * world + rank)

    def step(self) -> tuple[np.ndarray, ...]:
        """One action in every world: the row of a rollout."""
        observation = self.observation
        actions = self.agent.acts(observation, rng=self.rng)
        if self.env_steps == 0:
            check_action(self.envs, actions, count=(self.envs.count,))
        following, rewards, terminated, truncated = self.envs.step(actions)
        self.observation, over = following, terminated | truncated
        self.episode_return += rewards
        self.env_steps += self.envs.count
        if over.any():
            self.returns += self.episode_return[over].tolist()
            self.episode_return[over] = 0.0
            self.observation = self.envs.restart(over)
        return observation, actions, rewards, following, terminated, over

    def state_dict(self) -> dict[str, Any]:
        return {
            "observation": torch.tensor(self.observation),
            "returns": torch.tensor(self.returns, dtype=torch.float64),
            "episode_return": torch.tensor(self.episode_return),
            "env_steps": self.env_steps,
            "rng": self.rng.bit_generator.state,
            "envs": self.envs.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues as if never interrupted; worlds that cannot be restored (see `Gymnasium`) begin a new episode."""
        if state["observation"].shape != self.observation.shape:
            raise ValueError(f"expected observations {self.observation.shape}, got {tuple(state['observation'].shape)}: "
                             "the world or the number of worlds is another one")
        self.observation, self.episode_return = state["observation"].numpy().copy(), state["episode_return"].numpy().copy()
        self.returns, self.env_steps = state["returns"].tolist(), state["env_steps"]
        self.rng.bit_generator.state = state["rng"]
        for i, start in enumerate(self.envs.load_state_dict(state["envs"])):
            if start is not None:
                self.observation[i], self.episode_return[i] = start, 0.0
