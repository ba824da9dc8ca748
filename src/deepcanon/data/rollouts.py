"""Rollouts, the data of on-policy learning (A2C: Mnih et al. 2016, arXiv 1602.01783): several environments, a
few steps each, by the agent as it is now.

    (s_t, a_t, r_t, s_{t+1}, terminated_t, done_t),    t = 1 ... T, in N environments

The next rollout goes on where this one stopped. done = terminated or truncated: after it a new episode
begins, and s_{t+1} is still the last observation of the old one.
T steps, N environments, S and A the shapes of an observation and of an action.
"""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from deepcanon.data.environments import check_action
from deepcanon.data.vector_envs import checked_envs


@runtime_checkable
class Actors(Protocol):
    """What acts in several environments at once: observations (N, *S) -> actions (N, *A), drawn by `rng`."""

    def acts(self, observations: np.ndarray, *, rng: np.random.Generator) -> np.ndarray: ...


class Rollouts:
    """An endless iterable of rollouts.

    Each batch is (observation (T, N, *S), action (T, N, *A), reward (T, N), next observation (T, N, *S),
    terminated (T, N), done (T, N)). Discrete actions are int64, all else is float32. An action is stored as
    the agent chose it, also where the environment got it clipped to its bounds.

    Args:
        envs: what `deepcanon.data.envs` returns, or any object with the members of `Environments`; this
            object resets them and owns their episodes.
        agent: anything with `acts(observations, rng=)`, usually the method that learns from these batches.
        steps: T.
        seed: of the environments and the draws of actions.

    Raises:
        ValueError: a rollout without a step; later, an agent whose actions are not the environments'.
    """

    def __init__(self, envs: Any, agent: Actors, *, steps: int = 128, seed: int = 0):
        if steps < 1:
            raise ValueError(f"expected rollouts of one step or more, got {steps}")
        self.envs, self.agent, self.steps, self.seed = checked_envs(envs), agent, steps, seed
        self.action_type = np.float32 if self.envs.num_actions is None else np.int64
        self.rng = np.random.default_rng([seed, 1])
        self.observation = self.envs.reset(seed=seed)
        self.episode_return, self.env_steps = np.zeros(self.envs.count), 0
        self.returns: list[float] = []                                           # of the finished episodes

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return self

    def __next__(self) -> tuple[Tensor, ...]:
        s, a, r, s_next, terminated, done = map(np.stack, zip(*(self.step() for _ in range(self.steps))))
        ends = (column.astype(np.float32) for column in (r, terminated, done))
        r, terminated, done = map(torch.from_numpy, ends)
        return torch.from_numpy(s), torch.from_numpy(a), r, torch.from_numpy(s_next), terminated, done

    def shard(self, rank: int, ranks: int) -> "Rollouts":
        """The same with the random streams of one of several ranks, from the start."""
        return Rollouts(self.envs, self.agent, steps=self.steps, seed=self.seed * ranks + rank)

    def step(self) -> tuple[np.ndarray, ...]:
        """One action in every environment: the row of a rollout."""
        observation = self.observation
        actions = self.agent.acts(observation, rng=self.rng)
        if self.env_steps == 0:
            check_action(self.envs, actions, count=(self.envs.count,))
        actions = np.array(actions, self.action_type)
        following, rewards, terminated, truncated = self.envs.step(actions)
        self.observation, done = following, terminated | truncated
        self.episode_return += rewards
        self.env_steps += self.envs.count
        if done.any():
            self.returns += self.episode_return[done].tolist()
            self.episode_return[done] = 0.0
            self.observation = self.envs.restart(done)
        return observation, actions, rewards, following, terminated, done

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
        """Continues as if never interrupted; environments that cannot be restored begin a new episode."""
        if state["observation"].shape != self.observation.shape:
            raise ValueError(
                f"expected observations {self.observation.shape}, got {tuple(state['observation'].shape)}: "
                "the environment or the number of environments is another one"
            )
        self.observation, self.episode_return = (
            state["observation"].numpy().copy(),
            state["episode_return"].numpy().copy(),
        )
        self.returns, self.env_steps = state["returns"].tolist(), state["env_steps"]
        self.rng.bit_generator.state = state["rng"]
        for i, start in enumerate(self.envs.load_state_dict(state["envs"])):
            if start is not None:
                self.observation[i], self.episode_return[i] = start, 0.0
