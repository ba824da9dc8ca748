"""Our CartPole and Pendulum are Gymnasium's to the bit, and every world resumes, or says by a new episode that it cannot."""

import builtins
import io

import gymnasium
import numpy as np
import pytest
import torch

from deepcanon.data.envs import CartPole, Gymnasium, Pendulum, action_bounds, env


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def rollout(world, actions):
    """Observations, rewards and ends, with a new episode after each end."""
    steps = []
    for action in actions:
        observation, reward, terminated, truncated = world.step(action)
        steps.append((observation.tolist(), reward, terminated, truncated))
        if terminated or truncated:
            steps.append(world.reset().tolist())
    return steps


@pytest.mark.row("RL-32")
def test_cartpole_is_gymnasiums_to_the_bit():
    ours, theirs = CartPole(), gymnasium.make("CartPole-v1")
    rng, lengths = np.random.default_rng(0), []
    np.testing.assert_array_equal(ours.reset(seed=3), theirs.reset(seed=3)[0])
    for _ in range(100):
        terminated = truncated = False
        gain, noise, length = rng.uniform(-1, 3), rng.uniform(0, 0.6), 0         # from falling over at once to balancing for 500 steps
        while not (terminated or truncated):
            _, x_dot, theta, theta_dot = ours.state
            action = int(rng.random() < 0.5) if rng.random() < noise else int(theta + 0.3 * gain * theta_dot + 0.02 * x_dot > 0)
            observation, reward, terminated, truncated = ours.step(action)
            expected, expected_reward, *expected_ends, _ = theirs.step(action)
            assert observation.tobytes() == expected.tobytes()
            assert ours.state == tuple(theirs.unwrapped.state)
            assert (reward, [terminated, truncated]) == (expected_reward, expected_ends)
            length += 1
        lengths.append(length)
        np.testing.assert_array_equal(ours.reset(), theirs.reset()[0])
    assert min(lengths) < 12
    assert max(lengths) == 500


def test_pendulum_is_gymnasiums_to_the_bit():
    ours, theirs, rng = Pendulum(), gymnasium.make("Pendulum-v1"), np.random.default_rng(0)
    np.testing.assert_array_equal(ours.reset(seed=3), theirs.reset(seed=3)[0])
    fastest = 0.0
    for episode in range(20):
        for t in range(200):
            action = rng.uniform(-3, 3, 1) if episode % 2 else np.sign(theirs.unwrapped.state[1:]) * rng.uniform(0, 4)   # at random, or to swing up
            observation, reward, terminated, truncated = ours.step(action.astype(np.float32))
            expected, expected_reward, *expected_ends, _ = theirs.step(action.astype(np.float32))
            assert observation.tobytes() == expected.tobytes()
            assert ours.state == tuple(theirs.unwrapped.state)
            assert (reward, [terminated, truncated]) == (expected_reward, expected_ends)
            assert truncated == (t == 199)
            fastest = max(fastest, abs(ours.state[1]))
        np.testing.assert_array_equal(ours.reset(), theirs.reset()[0])
    assert fastest == 8.0                                                        # the speed limit was met


def test_bounds_of_actions_are_gymnasiums_and_asked_of_the_right_worlds():
    for bounds in zip(action_bounds(env("Pendulum-v1")), action_bounds(Gymnasium("Pendulum-v1"))):
        np.testing.assert_array_equal(*bounds)
    with pytest.raises(ValueError, match=r"^expected a world of real actions, Gymnasium has 3 numbered ones$"):
        action_bounds(env("Acrobot-v1"))


@pytest.mark.parametrize(("make", "name"), [
    (env, "CartPole-v1"), (env, "Pendulum-v1"), (Gymnasium, "Acrobot-v1"), (Gymnasium, "MountainCar-v0"), (Gymnasium, "Pendulum-v1"),
    (Gymnasium, "FrozenLake-v1"), (Gymnasium, "CliffWalking-v1"),
])
def test_worlds_resume_in_the_middle_of_an_episode(make, name):
    world, other, rng = make(name), make(name), np.random.default_rng(0)
    real = world.num_actions is None
    actions = [rng.uniform(-2, 2, world.action_shape).astype(np.float32) if real else int(rng.integers(world.num_actions)) for _ in range(400)]
    assert world.reset(seed=5).shape == world.observation_shape
    rollout(world, actions[:133])
    state = through_a_file(world.state_dict())
    expected = rollout(world, actions[133:])
    assert other.load_state_dict(state) is None
    assert rollout(other, actions[133:]) == expected


def test_a_world_with_hidden_state_resumes_with_a_new_episode():
    class Hidden(type(gymnasium.make("CartPole-v1").unwrapped)):
        """Keeps things that nobody can see, as a physics engine does."""

    gymnasium.register("Hidden-v0", Hidden)
    world, other = Gymnasium("Hidden-v0"), Gymnasium("Hidden-v0")
    world.reset(seed=5)
    world.step(0)
    state = through_a_file(world.state_dict())
    np.testing.assert_array_equal(other.load_state_dict(state), world.reset())   # the random stream went on, the episode did not


def test_numbered_observations_are_one_hot_vectors():
    lake = env("FrozenLake-v1", is_slippery=False)
    assert lake.observation_shape == (16,)
    assert lake.reset(seed=0).tolist() == np.eye(16)[0].tolist()
    assert lake.step(2)[0].tolist() == np.eye(16)[1].tolist()


def test_an_unknown_world_names_the_nearest():
    with pytest.raises(ValueError, match=r"^unknown environment 'CartPol-v1': did you mean 'CartPole-v1'\?$"):
        env("CartPol-v1")
    with pytest.raises(ValueError, match=r"^environment 'Acrobot-v1' cannot be made: .*no_such_option"):
        env("Acrobot-v1", no_such_option=1)


def test_without_gymnasium_the_built_in_worlds_work_and_others_say_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "gymnasium":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert isinstance(env("CartPole-v1"), CartPole)
    assert isinstance(env("Pendulum-v1"), Pendulum)
    with pytest.raises(ModuleNotFoundError, match=r'^environment \'Acrobot-v1\' needs Gymnasium: pip install "deepcanon\[rl\]"'):
        env("Acrobot-v1")
