"""The replay buffer: what it keeps, what it draws, what an end means, and resume to the bit."""

import io

import gymnasium
import numpy as np
import pytest
import torch

from deepcanon.data.environments import env
from deepcanon.data.experience import Experience, anneal
from deepcanon.data.vector_envs import envs


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


class Reused:
    """Writes into one array, as dm_control does."""

    observation_shape, action_shape, num_actions = (1,), (), 2

    def reset(self, seed=None):
        self.s = np.zeros(1, np.float32)
        return self.s

    def step(self, action):
        self.s += 1
        return self.s, 0.0, False, False

    def state_dict(self):
        return {"s": float(self.s[0])}

    def load_state_dict(self, state):
        self.s = np.full(1, state["s"], np.float32)


def test_an_array_that_the_environment_uses_again_is_copied():
    s, _, _, s_next, _ = next(Experience(Reused(), Scripted(), warmup=50, batch=64))
    assert (s_next - s).unique().tolist() == [1.0]
    assert s.dtype == torch.float32
    data = Experience(Reused(), Scripted(), warmup=50, batch=64)
    first = data.observation
    data.step()
    assert (first.tolist(), data.observation.tolist()) == ([0.0], [1.0])


def test_integers_first_and_fractions_later_are_stored_as_they_are():
    class Mixed(Reused):
        def step(self, action):
            return [0.5], 0.0, False, False

        def reset(self, seed=None):
            return np.zeros(1, np.int64)

    data = Experience(Mixed(), Scripted(), warmup=5, batch=4)
    next(data)
    assert data.buffer[3][:5, 0].tolist() == [0.5] * 5
    assert data.buffer[0][:2, 0].tolist() == [0.0, 0.5]


def test_a_fault_late_in_an_episode_names_its_step():
    class Breaks(Reused):
        def step(self, action):
            self.s = self.s + 1
            return self.s, float("nan") if self.s[0] == 30 else 0.0, False, False

    data = Experience(Breaks(), Scripted(), warmup=50)
    with pytest.raises(ValueError, match=r"^environment 'Breaks', step 30: expected a finite reward, got nan$"):
        next(data)


def test_a_gymnasium_environment_needs_no_wrapping():
    data = Experience(gymnasium.make("FrozenLake-v1"), Scripted(), warmup=20, batch=4)
    assert next(data)[0].shape == (4, 16)
    with pytest.raises(ValueError, match=r"^environment 'SequentialEnvs' is several environments at once"):
        Experience(envs("Acrobot-v1", 2), Scripted())


def test_the_users_environment_resumes_to_the_bit():
    def made():
        return Experience(Reused(), Scripted(), capacity=40, batch=8, warmup=10, seed=2)

    data, other = made(), made()
    for _ in range(20):
        next(data)
    other.load_state_dict(data.state_dict())
    for _ in range(20):
        assert all(torch.equal(a, b) for a, b in zip(next(data), next(other), strict=True))


def test_a_three_step_counter_gives_three_transitions_an_episode():
    class Three(Reused):
        def step(self, action):
            self.s = self.s + 1
            return self.s, 1.0, bool(self.s[0] == 3), False

    data = Experience(Three(), Scripted(), warmup=9)
    next(data)
    s, _, _, s_next, terminated = (column[:9] for column in data.buffer)
    assert s[:, 0].tolist() == [0, 1, 2] * 3
    assert s_next[:, 0].tolist() == [1, 2, 3] * 3
    assert terminated.tolist() == [0, 0, 1] * 3
    assert data.returns == [3.0] * 3
