"""Rollouts: what a row holds, what an end means, several environments as one, and resume to the bit."""

import io

import gymnasium
import numpy as np
import pytest
import torch

from deepcanon.data.environments import CartPole, Pendulum, action_bounds, env
from deepcanon.data.rollouts import Rollouts
from deepcanon.data.vector_envs import SequentialEnvs, envs


class Chance:
    """Acts by chance alone, like the environments' own action space."""

    def __init__(self, envs):
        self.envs = envs

    def acts(self, observations, *, rng):
        if self.envs.num_actions is None:
            return rng.uniform(-3, 3, (len(observations), *self.envs.action_shape)).astype(np.float32)
        return rng.integers(self.envs.num_actions, size=len(observations))


class Counter:
    """Observation: the clock; reward t; the episode is cut after `length` steps, or ends there if that is even."""

    observation_shape, action_shape, num_actions = (1,), (), 3

    def __init__(self, length):
        self.length, self.clock = length, 0

    def reset(self, seed=None):
        self.clock = 0
        return np.array([0], np.float32)

    def step(self, action):
        self.clock += 1
        done = self.clock == self.length
        return np.array([self.clock], np.float32), float(self.clock), done and self.length % 2 == 0, done and self.length % 2 == 1

    def state_dict(self):
        return vars(self).copy()

    def load_state_dict(self, state):
        vars(self).update(state)


def rollouts(envs, **options):
    return Rollouts(envs, Chance(envs), **options)


def test_rows_belong_together_and_ends_are_what_they_are():
    data = rollouts(SequentialEnvs([Counter(3), Counter(4)]), steps=10)
    s, a, r, s_next, terminated, done = next(data)
    assert (s.shape, a.shape, r.shape, s_next.shape) == ((10, 2, 1), (10, 2), (10, 2), (10, 2, 1))
    assert s[:, 0, 0].tolist() == [0, 1, 2] * 3 + [0]
    assert s[:, 1, 0].tolist() == [0, 1, 2, 3] * 2 + [0, 1]
    assert torch.equal(s_next, s + 1)                                            # the last observation of an episode, not the first of the next
    assert torch.equal(r, s_next[..., 0])
    assert done[:, 0].tolist() == [0, 0, 1] * 3 + [0]
    assert terminated[:, 0].sum() == 0                                           # cut, not ended
    assert torch.equal(terminated[:, 1], done[:, 1])
    assert sorted(data.returns) == [6, 6, 6, 10, 10]
    assert data.env_steps == 20


def test_the_next_rollout_goes_on_where_this_one_stopped():
    whole = next(rollouts(envs("CartPole-v1", 3), steps=60, seed=2))
    data = rollouts(envs("CartPole-v1", 3), steps=30, seed=2)
    for column, first, second in zip(whole, next(data), next(data), strict=True):
        assert torch.equal(column, torch.cat([first, second]))


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_environments_together_are_gymnasiums(name):
    several, theirs = envs(name, 5), [gymnasium.make(name) for _ in range(5)]
    agent, rng = Chance(several), np.random.default_rng(0)
    observations = several.reset(seed=1)
    for i, other in enumerate(theirs):
        other.reset()
        other.unwrapped.state = several.state[:, i].copy()
    lengths = []
    for _ in range(450):
        actions = agent.acts(observations, rng=rng)
        observations, rewards, terminated, truncated = several.step(actions)
        for i, (other, action) in enumerate(zip(theirs, actions)):
            expected = other.step(action)
            np.testing.assert_allclose(observations[i], expected[0], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(several.state[:, i], other.unwrapped.state, rtol=1e-9, atol=1e-9)
            assert rewards[i] == pytest.approx(expected[1], rel=1e-5, abs=1e-6)
            assert (terminated[i], truncated[i]) == expected[2:4]
        done = terminated | truncated
        if done.any():
            lengths += several.clock[done].tolist()
            before, observations = observations, several.restart(done)
            np.testing.assert_array_equal(observations[~done], before[~done])
            for i in np.flatnonzero(done):
                theirs[i].reset()
                theirs[i].unwrapped.state = several.state[:, i].copy()
    assert len(lengths) >= 10


@pytest.mark.parametrize(("name", "single"), [("CartPole-v1", CartPole), ("Pendulum-v1", Pendulum)])
def test_the_clock_cuts_environments_together_as_it_cuts_one(name, single):
    several = envs(name, 2)
    several.reset(seed=0)
    several.clock[1] = single.step_limit - 1
    actions = np.zeros((2, *several.action_shape), int if several.num_actions else np.float32)
    assert several.step(actions)[3].tolist() == [False, True]


@pytest.mark.parametrize("several", [
    lambda: envs("CartPole-v1", 4), lambda: envs("Pendulum-v1", 3), lambda: envs("Acrobot-v1", 2),
    lambda: SequentialEnvs([env("CartPole-v1"), env("CartPole-v1")]),
])
def test_resume_is_exact(several):
    data, other, buffer = (rollouts(several(), steps=37, seed=4) for _ in range(2)), None, io.BytesIO()
    data, other = data
    for _ in range(3):
        next(data)
    torch.save(data.state_dict(), buffer)
    expected = [next(data) for _ in range(6)]
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    for batch in expected:
        assert all(torch.equal(a, b) for a, b in zip(next(other), batch, strict=True))
    assert (other.env_steps, other.returns, other.episode_return.tolist()) == (data.env_steps, data.returns, data.episode_return.tolist())


def test_environments_with_hidden_state_resume_with_new_episodes():
    class Blind(Counter):
        def load_state_dict(self, state):
            return self.reset()

    data, other = (rollouts(SequentialEnvs([Blind(8), Counter(8)]), steps=5) for _ in range(2))
    next(data)
    other.load_state_dict(data.state_dict())
    assert other.observation[:, 0].tolist() == [0, 5]
    assert other.episode_return.tolist() == [0, 15]


def test_ranks_and_environments_see_different_episodes():
    for name in ("CartPole-v1", "Acrobot-v1"):
        data = rollouts(envs(name, 2), seed=4)
        starts = [*data.shard(0, 2).observation.tolist(), *data.shard(1, 2).observation.tolist()]
        assert len({tuple(start) for start in starts}) == 4


def test_bad_input_is_refused_in_words():
    with pytest.raises(ValueError, match=r"^expected one environment or more, got 0$"):
        envs("CartPole-v1", 0)
    with pytest.raises(ValueError, match=r"^unknown environment 'CartPol-v1': did you mean 'CartPole-v1'\?$"):
        envs("CartPol-v1", 2)
    with pytest.raises(ValueError, match=r"^expected rollouts of one step or more, got 0$"):
        rollouts(envs("CartPole-v1", 2), steps=0)
    numbered = Rollouts(envs("Pendulum-v1", 2), Chance(envs("CartPole-v1", 2)))
    with pytest.raises(ValueError, match=r"^expected actions of shape \(2, 1\), real numbers; the agent's have shape \(2,\) and type int64$"):
        next(numbered)
    real = Rollouts(envs("CartPole-v1", 2), Chance(envs("Pendulum-v1", 2)))
    with pytest.raises(ValueError, match=r"^expected actions of shape \(2,\), integers below 2; the agent's have shape \(2, 1\) and type float32$"):
        next(real)
    with pytest.raises(ValueError, match=r"^expected observations \(2, 4\), got \(3, 4\): the environment or the number of"):
        rollouts(envs("CartPole-v1", 2)).load_state_dict(rollouts(envs("CartPole-v1", 3)).state_dict())


class Joint:
    """Environments of the user's own that step together, in arrays that they use again."""

    count, observation_shape, action_shape, num_actions = 3, (1,), (), 2

    def __init__(self, rewards=None):
        self.rewards = np.ones(3, np.float32) if rewards is None else rewards
        self.s, self.ends = np.zeros((3, 1), np.float32), np.zeros(3, bool)

    def reset(self, seed=None):
        self.s[:] = 0
        return self.s

    def step(self, actions):
        self.s += 1
        self.ends[:] = self.s[:, 0] == [2, 3, 4]
        return self.s, self.rewards, self.ends, np.zeros(3)

    def restart(self, done):
        self.s[done] = 0
        return self.s

    def state_dict(self):
        return {"s": torch.tensor(self.s)}

    def load_state_dict(self, state):
        self.s = state["s"].numpy().copy()
        return [None] * 3


def test_environments_that_use_their_arrays_again_are_copied():
    s, _, r, s_next, terminated, done = next(rollouts(Joint(), steps=6))
    assert s[..., 0].T.tolist() == [[0, 1] * 3, [0, 1, 2] * 2, [0, 1, 2, 3, 0, 1]]
    assert torch.equal(s_next, s + 1)
    assert torch.equal(terminated, done)
    assert terminated.sum(0).tolist() == [3, 2, 1]
    assert {column.dtype for column in (s, r, s_next, terminated, done)} == {torch.float32}


def test_an_agent_that_uses_its_array_again_is_copied():
    class Again:
        drawn = np.zeros(2, np.int64)

        def acts(self, observations, *, rng):
            self.drawn[:] = 1 - self.drawn
            return self.drawn

    assert next(Rollouts(envs("CartPole-v1", 2), Again(), steps=4))[1].tolist() == [[1, 1], [0, 0], [1, 1], [0, 0]]


@pytest.mark.parametrize(("rewards", "message"), [
    (np.ones((3, 1)), r"expected rewards and ends of shape \(3,\), got array\(\[\[1\.\], \[1\.\], \[1\.\]\]\)"),
    (1.0, r"expected rewards and ends of shape \(3,\), got 1\.0"),
    (np.array([1, np.nan, 1]), r"expected finite rewards, got \[ 1\. nan  1\.\]"),
])
def test_rewards_of_environments_have_one_shape(rewards, message):
    with pytest.raises(ValueError, match=f"^environment 'Joint', step 1: {message}$"):
        next(rollouts(Joint(rewards)))


def test_one_environment_is_refused_where_several_are_meant():
    with pytest.raises(ValueError, match=r"^expected several environments, as envs\(source, count\) makes them, got CartPole$"):
        Rollouts(env("CartPole-v1"), Chance(envs("CartPole-v1", 2)))
    one = env("CartPole-v1")
    with pytest.raises(ValueError, match=r"^expected one environment or more, each an object of its own, got 2$"):
        SequentialEnvs([one, one])
    with pytest.raises(ValueError, match=r"^expected environments of one kind: number 1 has observations, actions and their count "
                                         r"\(\(3,\), \(1,\), None\), number 0 \(\(4,\), \(\), 2\)$"):
        SequentialEnvs([env("CartPole-v1"), env("Pendulum-v1")])


def test_bounds_of_several_are_those_of_one():
    for name in ("Pendulum-v1", "MountainCarContinuous-v0"):
        for bounds in zip(action_bounds(envs(name, 2)), action_bounds(env(name))):
            np.testing.assert_array_equal(*bounds)
