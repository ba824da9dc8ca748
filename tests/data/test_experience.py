"""The replay buffer: what it keeps, what it draws, what an end means, and resume to the bit."""

import io

import numpy as np
import pytest
import torch

from deepcanon.data.envs import env
from deepcanon.data.experience import Experience, anneal


class Counter:
    """Observation t, reward -t; an episode is cut after 10 steps, and ends at the 7th of every second one."""

    observation_shape, action_shape, num_actions = (1,), (), 3

    def __init__(self):
        self.t = self.episode = self.clock = 0

    def reset(self, seed=None):
        self.episode, self.clock, self.t = self.episode + 1, 0, self.t + 1
        return np.array([self.t], np.float32)

    def step(self, action):
        self.t, self.clock = self.t + 1, self.clock + 1
        return np.array([self.t], np.float32), -float(self.t), self.episode % 2 == 0 and self.clock == 7, self.clock == 10

    def state_dict(self):
        return vars(self).copy()

    def load_state_dict(self, state):
        vars(self).update(state)


class Scripted:
    """Acts by epsilon and chance alone, and remembers the epsilons."""

    def __init__(self):
        self.epsilons = []

    def act(self, observation, *, epsilon, rng):
        self.epsilons.append(epsilon)
        return int(rng.integers(2)) if rng.random() < epsilon else int(observation[-1] > 0)


@pytest.mark.row("RL-30")
def test_the_buffer_keeps_the_newest_transitions():
    data = Experience(Counter(), Scripted(), capacity=16, batch=4, warmup=50)
    next(data)
    s, _, r, s_next, _ = data.buffer
    assert data.env_steps == 50
    assert sorted(-r) == sorted(s_next[:, 0])                                    # rows belong together
    assert (s_next - s == 1).all()
    newest = Counter()
    newest.reset()
    seen = []
    while len(seen) < 50:
        observation, _, terminated, truncated = newest.step(0)
        seen.append(float(observation[0]))
        if terminated or truncated:
            newest.reset()
    assert sorted(s_next[:, 0]) == seen[-16:]


@pytest.mark.row("RL-30")
def test_draws_are_uniform_and_batches_uncorrelated():
    data = Experience(Counter(), Scripted(), capacity=20, batch=400, warmup=20, every=0)
    draws = torch.stack([next(data)[3][:, 0] for _ in range(100)])               # (100, 400)
    _, counts = draws.unique(return_counts=True)
    expected = draws.numel() / 20
    assert len(counts) == 20
    assert ((counts - expected) ** 2 / expected).sum() < 43.8                    # chi-square, 19 degrees of freedom, p = 0.001
    centred = draws - draws.mean()
    assert (centred[:, 1:] * centred[:, :-1]).mean() / centred.square().mean() < 4 / np.sqrt(draws.numel())


def test_a_truncated_episode_is_not_terminated():
    data = Experience(Counter(), Scripted(), capacity=1_000, warmup=170)
    next(data)
    ends = data.buffer[4][:170].astype(bool)
    assert np.flatnonzero(ends).tolist() == [16, 33, 50, 67, 84, 101, 118, 135, 152, 169]   # 10 steps cut, 7 to the end, and so on
    assert len(data.returns) == 20
    assert data.returns[0] == -sum(range(2, 12))


def test_updates_begin_after_the_warm_up_and_come_every_few_steps():
    agent = Scripted()
    data = Experience(Counter(), agent, warmup=30, every=4, epsilon=anneal(1.0, 0.2, 40))
    steps = []
    for _ in range(4):
        next(data)
        steps.append(data.env_steps)
    assert steps == [30, 34, 38, 42]
    assert agent.epsilons[0] == 1.0
    assert agent.epsilons[20] == pytest.approx(0.6)
    assert agent.epsilons[40:] == [pytest.approx(0.2)] * 2


def test_resume_is_exact():
    def made():
        return Experience(env("CartPole-v1"), Scripted(), capacity=200, batch=8, warmup=50, every=3, epsilon=anneal(1.0, 0.1, 300), seed=4)

    data, other, buffer = made(), made(), io.BytesIO()
    for _ in range(137):                                                         # the buffer has overflowed, an episode is under way
        next(data)
    torch.save(data.state_dict(), buffer)
    expected = [next(data) for _ in range(150)]
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    for batch in expected:
        assert all(torch.equal(a, b) for a, b in zip(next(other), batch, strict=True))
    assert (other.env_steps, other.returns, other.episode_return) == (data.env_steps, data.returns, data.episode_return)


def test_another_capacity_is_refused():
    data = Experience(env("CartPole-v1"), Scripted(), capacity=100, warmup=150)
    next(data)
    with pytest.raises(ValueError, match=r"^expected a replay buffer \(150, 4\), got \(100, 4\): the environment or the capacity is another one$"):
        Experience(env("CartPole-v1"), Scripted(), capacity=200).load_state_dict(data.state_dict())


def test_ranks_see_different_episodes():
    data = Experience(env("CartPole-v1"), Scripted(), seed=4)
    assert not np.array_equal(data.shard(0, 2).observation, data.shard(1, 2).observation)
