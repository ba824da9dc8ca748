"""Returns of an agent: sum_t r_t over whole episodes, undiscounted."""

import contextlib
import warnings
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import nn

from deepcanon.layers.modes import evaluating

LONGEST = 100_000  # steps of an episode, unless `max_steps` says otherwise


def returns(agent: Any, env: Any, *, episodes: int = 20, seed: int = 0,
            max_steps: int | None = None) -> Float[np.ndarray, "{episodes}"]:
    """The agent's undiscounted returns in episodes of an environment, in evaluation mode.

    Args:
        agent: anything with `act(observation)`, its greedy choice.
        env: an environment of `deepcanon.data.env`; it is seeded before the first episode.
        episodes: how many.
        seed: of the environment.
        max_steps: an episode's return counts that many steps at most. None is 100,000, and a warning where an
            episode is as long.

    Raises:
        ValueError: less than one episode or step, or an environment that `deepcanon.data.env` has not opened.
    """
    if episodes < 1 or (max_steps is not None and max_steps < 1):
        raise ValueError(f"expected one episode or more of one step or more, got {episodes} of {max_steps}")
    with evaluating(agent) if isinstance(agent, nn.Module) else contextlib.nullcontext():
        seeds = [seed, *[None] * (episodes - 1)]
        return np.array([episode_return(agent, env, first, max_steps) for first in seeds], np.float64)


def episode_return(agent: Any, env: Any, seed: int | None, max_steps: int | None) -> float:
    """The return of one episode."""
    observation, total = env.reset(seed=seed), 0.0
    if isinstance(observation, tuple):
        raise ValueError(
            f"expected an environment of deepcanon.data.env, got {type(env).__name__}: pass "
            f"env({type(env).__name__})"
        )
    for _ in range(max_steps or LONGEST):
        observation, reward, terminated, truncated = env.step(agent.act(observation))
        total += reward
        if terminated or truncated:
            return total
    if max_steps is None:
        warnings.warn(
            f"an episode of {getattr(env, 'name', type(env).__name__)} did not end within {LONGEST:,} "
            "steps, and its "
            "return counts those only: give max_steps, or the environment max_episode_steps",
            stacklevel=3,
        )
    return total
