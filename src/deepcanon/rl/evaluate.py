"""Returns of an agent: sum_t r_t over whole episodes, undiscounted."""

import numpy as np
from jaxtyping import Float


def returns(agent, env, *, episodes: int = 20, seed: int = 0) -> Float[np.ndarray, "episodes"]:
    """The agent's undiscounted returns in episodes of `env`, which is seeded first; `agent.act(observation)` is its greedy choice."""
    totals = np.zeros(episodes)
    for episode in range(episodes):
        observation, over = env.reset(seed=seed if episode == 0 else None), False
        while not over:
            observation, reward, terminated, truncated = env.step(agent.act(observation))
            totals[episode] += reward
            over = terminated or truncated
    return totals
