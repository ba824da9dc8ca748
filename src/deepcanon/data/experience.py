"""Experience replay (Lin 1992; Mnih et al. 2015): an agent acts, its transitions are stored, and uniform
draws of them are the batches.

    (s_t, a_t, r_t, s_{t+1}, terminated_t) -> buffer,    batch ~ U(buffer)

When the buffer is full, the oldest transition gives way. A truncated episode is not terminated: its last
transition still bootstraps from s_{t+1}.
B batch, C capacity.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from deepcanon.data.environments import check_action, env as open_env, is_own


@runtime_checkable
class Agent(Protocol):
    """What acts: `act(observation)`, with probability epsilon at random; a stochastic policy draws from `rng`
    as well."""

    def act(self, observation: np.ndarray, *, epsilon: float, rng: np.random.Generator) -> Any: ...


def anneal(start: float, end: float, steps: int) -> Callable[[int], float]:
    """t -> start + (end - start) * min(t / steps, 1)."""
    return lambda t: start + (end - start) * min(t / steps, 1.0)


def after(steps: int) -> Callable[[int], float]:
    """t -> 1 if t < steps else 0: first at random, then as the agent likes."""
    return lambda t: float(t < steps)


class Experience:
    """An endless iterable of replay batches, which steps the environment with the agent as it is at that
    moment.

    Each batch is (observation (B, ...), action (B, ...), reward (B,), next observation (B, ...), terminated
    (B,)). Discrete actions are int64, all else is float32. An action is stored as the agent chose it, also
    where the environment got it clipped to its bounds.

    Args:
        env: an environment, or anything that `deepcanon.data.env` makes one of; this object resets it and
            owns its episodes.
        agent: anything with `act(observation, epsilon=, rng=)`, usually the method that learns from these
            batches.
        capacity: C, transitions kept.
        batch: B.
        warmup: environment steps before the first batch.
        every: environment steps for a batch after that.
        epsilon: exploration rate as a function of the environment step; None falls from 1 to 0.05 over
            10,000.
        seed: of the environment, the exploration and the draws.

    Raises:
        ValueError: an environment whose first episode is not what it declares, or an agent whose actions are
            not the environment's.
    """

    def __init__(
        self,
        env: Any,
        agent: Agent,
        *,
        capacity: int = 10_000,
        batch: int = 128,
        warmup: int = 1_000,
        every: int = 1,
        epsilon: Callable[[int], float] | None = None,
        seed: int = 0,
    ):
        self.env, self.agent = env if is_own(env) else open_env(env), agent
        self.capacity, self.batch, self.warmup, self.every = capacity, batch, warmup, every
        self.epsilon, self.seed = epsilon or anneal(1.0, 0.05, 10_000), seed
        self.rng = np.random.default_rng([seed, 1])
        self.observation = self.env.reset(seed=seed)
        self.episode_return, self.env_steps = 0.0, 0
        self.returns: list[float] = []                                           # of the finished episodes
        seen, acted = (capacity, *self.env.observation_shape), (capacity, *self.env.action_shape)
        self.buffer = (
            np.zeros(seen, np.float32),
            np.zeros(acted, np.float32 if self.env.num_actions is None else np.int64),
            np.zeros(capacity, np.float32),
            np.zeros(seen, np.float32),
            np.zeros(capacity, np.float32),
        )

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return self

    def __next__(self) -> tuple[Tensor, ...]:
        for _ in range(max(self.every, self.warmup - self.env_steps)):
            self.step()
        rows = self.rng.integers(self.stored, size=self.batch)
        return tuple(torch.from_numpy(column.take(rows, 0)) for column in self.buffer)

    def shard(self, rank: int, ranks: int) -> "Experience":
        """The same with the random streams of one of several ranks, from the start."""
        return Experience(
            self.env,
            self.agent,
            capacity=self.capacity,
            batch=self.batch,
            warmup=self.warmup,
            every=self.every,
            epsilon=self.epsilon,
            seed=self.seed * ranks + rank,
        )

    @property
    def stored(self) -> int:
        """Transitions in the buffer."""
        return min(self.env_steps, self.capacity)

    def step(self) -> None:
        """One action of the agent, one transition into the buffer."""
        action = self.agent.act(self.observation, epsilon=self.epsilon(self.env_steps), rng=self.rng)
        if self.env_steps == 0:
            check_action(self.env, action)
        following, reward, terminated, truncated = self.env.step(action)
        row = self.env_steps % self.capacity
        for column, value in zip(self.buffer, (self.observation, action, reward, following, terminated)):
            column[row] = value
        self.observation, self.episode_return, self.env_steps = (
            following,
            self.episode_return + reward,
            self.env_steps + 1,
        )
        if terminated or truncated:
            self.end_episode()

    def end_episode(self) -> None:
        self.returns.append(self.episode_return)
        self.observation, self.episode_return = self.env.reset(), 0.0

    def state_dict(self) -> dict[str, Any]:
        return {
            "buffer": [torch.tensor(column[: self.stored]) for column in self.buffer],
            "observation": torch.tensor(self.observation),
            "returns": torch.tensor(self.returns, dtype=torch.float64),
            "episode_return": self.episode_return,
            "env_steps": self.env_steps,
            "rng": self.rng.bit_generator.state,
            "env": self.env.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues as if never interrupted; where the environment cannot be restored (see `Gymnasium`), with
        a new episode."""
        observations, stored = state["buffer"][0], min(state["env_steps"], self.capacity)
        if observations.shape != (stored, *self.observation.shape):
            raise ValueError(
                f"expected a replay buffer {(stored, *self.observation.shape)}, got "
                f"{tuple(observations.shape)}: "
                "the environment or the capacity is another one"
            )
        for column, saved in zip(self.buffer, state["buffer"], strict=True):
            column[: len(saved)] = saved.numpy()
        self.returns, self.episode_return, self.env_steps = (
            state["returns"].tolist(),
            state["episode_return"],
            state["env_steps"],
        )
        self.rng.bit_generator.state = state["rng"]
        self.observation = state["observation"].numpy().copy()
        start = self.env.load_state_dict(state["env"])
        if start is not None:
            self.observation, self.episode_return = start, 0.0
