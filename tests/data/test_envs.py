"""The built-in environments are Gymnasium's to the bit, and every environment resumes, or says by a new episode that it cannot."""

import builtins
import copy
import inspect
import io
import json
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from deepcanon.data.environments import CartPole, Pendulum, action_bounds, describe_env, env, env_metadata
from deepcanon.data.notices import DataNotice
from deepcanon.data.vector_envs import SequentialEnvs, envs


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def rollout(env, actions):
    """Observations, rewards and ends, with a new episode after each end."""
    steps = []
    for action in actions:
        observation, reward, terminated, truncated = env.step(action)
        steps.append((observation.tolist(), reward, terminated, truncated))
        if terminated or truncated:
            steps.append(env.reset().tolist())
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


def test_bounds_of_actions_are_gymnasiums_and_asked_of_real_actions_only():
    for bounds in zip(action_bounds(env("Pendulum-v1")), action_bounds(env(gymnasium.make("Pendulum-v1")))):
        np.testing.assert_array_equal(*bounds)
    with pytest.raises(ValueError, match=r"^expected an environment of real actions, Acrobot-v1 has 3 discrete ones$"):
        action_bounds(env("Acrobot-v1"))


@pytest.mark.parametrize("make", [
    lambda: env("CartPole-v1"), lambda: env("Pendulum-v1"), lambda: env("Acrobot-v1"), lambda: env("MountainCar-v0"),
    lambda: env(gymnasium.make("Pendulum-v1")), lambda: env("FrozenLake-v1"), lambda: env("CliffWalking-v1"),
    lambda: env(max(name for name in gymnasium.registry if name.startswith("Taxi"))), lambda: env("Blackjack-v1"),
])
def test_environments_resume_in_the_middle_of_an_episode(make):
    first, other, rng = make(), make(), np.random.default_rng(0)
    real = first.num_actions is None
    actions = [rng.uniform(-2, 2, first.action_shape).astype(np.float32) if real else int(rng.integers(first.num_actions))
               for _ in range(400)]
    assert first.reset(seed=5).shape == first.observation_shape
    rollout(first, actions[:133])
    state = through_a_file(first.state_dict())
    expected = rollout(first, actions[133:])
    assert other.load_state_dict(state) is None
    assert rollout(other, actions[133:]) == expected


def test_an_environment_with_hidden_state_resumes_with_a_new_episode():
    class Hidden(type(gymnasium.make("CartPole-v1").unwrapped)):
        """Keeps things that nobody can see, as a physics engine does."""

        def __init__(self):
            super().__init__()
            self.engine = object()

    gymnasium.register("Hidden-v0", Hidden)
    first, other = env("Hidden-v0"), env("Hidden-v0")
    first.reset(seed=5)
    first.step(0)
    state = through_a_file(first.state_dict())
    with pytest.warns(DataNotice, match="Hidden-v0 does not show its state: a resumed run begins a new episode, and is not the unbroken one"):
        shown = other.load_state_dict(state)
    np.testing.assert_array_equal(shown, first.reset())                          # the random stream went on, the episode did not


def test_an_environment_of_plain_attributes_resumes_in_the_middle():
    class Counter(gymnasium.Env):
        observation_space, action_space = gymnasium.spaces.Box(-9, 99, (2,)), gymnasium.spaces.Discrete(2)

        def reset(self, seed=None, options=None):
            super().reset(seed=seed)
            self.count, self.seen = 0, np.zeros(2)
            return self.seen, {}

        def step(self, action):
            self.count, self.seen = self.count + 1, self.seen + action + self.np_random.random(2)
            return self.seen, float(self.count), self.count == 6, False, {}

    first, other = env(Counter), env(Counter)
    first.reset(seed=5)
    for _ in range(3):
        first.step(1)
    assert other.load_state_dict(through_a_file(first.state_dict())) is None
    for _ in range(3):
        for a, b in zip(first.step(1), other.step(1)):
            np.testing.assert_array_equal(a, b)


def test_an_environment_that_saves_itself_resumes_in_the_middle():
    class Saved(type(gymnasium.make("CartPole-v1").unwrapped)):
        def state_dict(self):
            return {"state": [float(x) for x in self.state]}

        def load_state_dict(self, state):
            self.state = np.array(state["state"])

    first, other = (env(Saved, max_episode_steps=5) for _ in range(2))
    first.reset(seed=5)
    first.step(0)
    first.step(1)
    state = through_a_file(first.state_dict())
    assert other.load_state_dict(state) is None
    with pytest.raises(ValueError, match=r"^environment 'Saved', step 3: expected an action in 0\.\.1, got 5$"):
        copy.deepcopy(other).step(5)
    for action in (0, 1, 1):
        (o, *rest), (expected, *others) = other.step(action), first.step(action)
        np.testing.assert_array_equal(o, expected)
        assert rest == others
    assert rest[2]                                                               # the time limit went on counting too


def test_discrete_observations_are_one_hot_vectors():
    lake = env("FrozenLake-v1", is_slippery=False)
    assert lake.observation_shape == (16,)
    assert lake.reset(seed=0).tolist() == np.eye(16)[0].tolist()
    assert lake.step(2)[0].tolist() == np.eye(16)[1].tolist()


def test_an_unknown_environment_names_the_nearest():
    with pytest.raises(ValueError, match=r"^unknown environment 'CartPol-v1': did you mean 'CartPole-v1'\?$"):
        env("CartPol-v1")
    with pytest.raises(ValueError, match=r"^environment 'Acrobot-v1' cannot be made: .*no_such_option"):
        env("Acrobot-v1", no_such_option=1)


def test_without_gymnasium_the_built_in_environments_work_and_others_say_what_to_install(monkeypatch):
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


# environments of others


class Steps(gymnasium.Env):
    """Shows what it is given to show; remembers the actions that it gets."""

    def __init__(self, seen, acts, shows, reward=0.0, ends=(False, False)):
        self.observation_space, self.action_space = seen, acts
        self.shows, self.reward, self.ends, self.got, self.t = shows, reward, ends, [], 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.shows[0], {}

    def step(self, action):
        self.got.append(action)
        self.t += 1
        return self.shows[min(self.t, len(self.shows) - 1)], self.reward, *self.ends, {}


BOX = spaces.Box(-1, 1, (2,), np.float32)
TWO = spaces.Discrete(2)
ZEROS = [np.zeros(2, np.float32)]


@pytest.mark.parametrize(("space", "value", "expected"), [
    (spaces.Discrete(4, start=1), np.int64(4), [0, 0, 0, 1]),
    (spaces.Discrete(4, start=-2), -2, [1, 0, 0, 0]),
    (spaces.Discrete(3), np.array(2), [0, 0, 1]),
    (spaces.MultiDiscrete([2, 3], start=[0, 5]), np.array([1, 6]), [0, 1, 0, 1, 0]),
    (spaces.MultiBinary(3), [1, 0, 1], [1, 0, 1]),
    (spaces.Box(0, 9, (2,), np.int64), np.array([3, 4]), [3, 4]),
    (spaces.Box(0, 255, (1, 2), np.uint8), np.array([[7, 255]], np.uint8), [[7, 255]]),
    (spaces.Box(0, 1, (2,), np.float16), np.array([0.5, 1], np.float16), [0.5, 1]),
    (spaces.Box(0, 1, (2,), np.float64), [0.25, 0.5], [0.25, 0.5]),
    (spaces.Box(0, 1, (), np.float32), 0.25, [0.25]),
    (spaces.Box(0, 1, (1,), np.float32), 0.25, [0.25]),
    (spaces.Dict(b=spaces.Box(0, 9, (2, 1), np.int64), a=spaces.Discrete(2, start=3)), {"a": 4, "b": [[1], [2.5]]}, [1, 2.5, 0, 1]),
    (spaces.Tuple([spaces.Discrete(2), spaces.Tuple([spaces.Box(0, 1, (), np.float64)])]), (0, (0.5,)), [1, 0, 0.5]),
])
def test_observations_of_every_space_are_one_float32_array(space, value, expected):
    made = env(Steps(space, TWO, [value]))
    for observation in (made.reset(seed=0), made.step(0)[0]):
        assert observation.dtype == np.float32
        assert observation.shape == made.observation_shape
        assert observation.tolist() == expected


@pytest.mark.parametrize(("space", "action", "gets"), [
    (spaces.Discrete(3, start=-1), 0, -1),
    (spaces.Discrete(3, start=-1), 2, 1),
    (spaces.Box(-1, 1, (2,), np.float32), np.array([5.0, -0.5], np.float32), [1.0, -0.5]),
    (spaces.Box(-1, 1, (1, 2), np.float64), np.array([0.5, -7], np.float32), [[0.5, -1.0]]),
    (spaces.Box(0.1, 0.3, (1,), np.float64), np.array([9.0], np.float32), [0.3]),
    (spaces.Box(0, 9, (2,), np.int64), np.array([2.6, 99.0], np.float32), [3, 9]),
    (spaces.Box(-1, 1, (), np.float32), np.array([3.0], np.float32), 1.0),
    (spaces.MultiDiscrete([2, 3]), 5, [1, 2]),
    (spaces.MultiDiscrete([2, 3], start=[10, 20]), 3, [11, 20]),
    (spaces.MultiBinary(2), 2, [1, 0]),
    (spaces.Dict(a=spaces.Box(-1, 1, (1,)), b=spaces.Box(0, 2, (2,))), np.array([-5, 5, 1], np.float32), {"a": [-1.0], "b": [2.0, 1.0]}),
])
def test_actions_of_every_space_are_in_it_and_of_its_type(space, action, gets):
    made = env(stepped := Steps(BOX, space, ZEROS))
    made.reset(seed=0)
    before = np.array(action)
    made.step(action)
    got = stepped.got[-1]
    assert space.contains(got), got
    assert ({k: v.tolist() for k, v in got.items()} if isinstance(got, dict) else np.asarray(got).tolist()) == gets
    np.testing.assert_array_equal(action, before)                                # the agent's own stays as it was


def test_the_reward_of_an_action_beyond_the_bounds_is_that_of_the_bound():
    car = env("MountainCarContinuous-v0")
    car.reset(seed=0)
    assert car.step(np.array([5.0], np.float32))[1] == pytest.approx(-0.1)


@pytest.mark.parametrize(("shows", "message"), [
    ([np.zeros(3)], r"reset: expected an observation of shape \(2,\), got array\(\[0\., 0\., 0\.\]\)"),
    ([ZEROS[0], np.zeros((1, 2))], r"step 1: expected an observation of shape \(2,\), got array\(\[\[0\., 0\.\]\]\)"),
    ([ZEROS[0], ZEROS[0], np.array([0, np.nan])], "step 2: expected a finite observation, got 1 of 2 values nan or inf"),
    ([np.array([0, 1e300])], "reset: expected a finite observation, got 1 of 2 values nan or inf"),
    ([None], r"reset: expected an observation of shape \(2,\), got None"),
    (["ab"], r"reset: expected an observation of shape \(2,\), got 'ab'"),
    ([[[1], [1, 2]]], r"reset: expected an observation of shape \(2,\), got \[\[1\], \[1, 2\]\]"),
])
def test_observations_outside_their_space_are_refused_when_the_environment_is_opened(shows, message):
    with pytest.raises(ValueError, match=f"^environment 'Steps', {message}$"):
        env(Steps(BOX, TWO, shows))


@pytest.mark.parametrize(("space", "value", "message"), [
    (spaces.Discrete(4, start=1), 0, r"expected observation in Discrete\(4, start=1\), got 0"),
    (spaces.Discrete(4), 1.5, r"expected observation in Discrete\(4\), got 1.5"),
    (spaces.MultiBinary(2), [0, 2], r"expected observation in MultiBinary\(2\), got \[0, 2\]"),
    (spaces.Tuple([BOX, TWO]), (np.zeros(2),), "expected observation to be a tuple of 2, got a tuple of 1"),
    (spaces.Dict(a=BOX), {"b": 1}, r"expected observation with the keys \['a'\], got \['b'\]"),
    (spaces.Dict(a=spaces.Box(0, 1, (2, 3))), {"a": np.zeros((3, 2))},
     r"observation\['a'\]: expected an observation of shape \(2, 3\), got shape \(3, 2\) of float64"),
])
def test_parts_of_an_observation_outside_their_space_are_named(space, value, message):
    with pytest.raises(ValueError, match=f"^environment 'Steps', reset: {message}$"):
        env(Steps(space, TWO, [value]))


@pytest.mark.parametrize(("reward", "expected"), [
    (np.float32(0.5), 0.5), (np.array(0.5), 0.5), (np.array([0.5]), 0.5), ([0.5], 0.5), (1, 1.0), (np.bool_(True), 1.0), (np.int64(-3), -3.0),
])
def test_rewards_of_one_number_are_numbers(reward, expected):
    made = env(Steps(BOX, TWO, ZEROS, reward))
    made.reset()
    found = made.step(0)[1]
    assert (type(found), found) == (float, expected)


@pytest.mark.parametrize(("reward", "message"), [
    (np.array([1.0, 2.0]), r"expected a reward that is one number, got array\(\[1\., 2\.\]\)"),
    (None, "expected a reward that is one number, got None"),
    (float("nan"), "expected a finite reward, got nan"),
    (np.float32("-inf"), "expected a finite reward, got -inf"),
    (1e39, r"expected a finite reward, got 1e\+39"),
])
def test_other_rewards_are_refused(reward, message):
    with pytest.raises(ValueError, match=f"^environment 'Steps', step 1: {message}$"):
        env(Steps(BOX, TWO, ZEROS, reward))


def test_ends_are_true_or_false():
    made = env(Steps(BOX, TWO, ZEROS, ends=(np.bool_(False), np.array([True]))))
    made.reset()
    assert made.step(1)[2:] == (False, True)
    assert all(type(end) is bool for end in made.step(1)[2:])
    with pytest.raises(ValueError, match=r"^environment 'Steps', step 1: expected truncated to be True or False, got None$"):
        env(Steps(BOX, TWO, ZEROS, ends=(False, None)))
    with pytest.raises(ValueError, match=r"expected terminated to be True or False, got 0\.5$"):
        env(Steps(BOX, TWO, ZEROS, ends=(0.5, False)))


class Old(Steps):
    def step(self, action):
        return ZEROS[0], 0.0, False, {}


class OldReset(Steps):
    def reset(self, *, seed=None, options=None):
        return ZEROS[0]


@pytest.mark.parametrize("limit", [None, 10])
def test_the_old_api_is_refused_in_one_line(limit):
    with pytest.raises(ValueError, match=r"^environment 'Old', step 1: step\(\) returned \(observation, reward, done, info\), as Gym before 0.26; "
                                         r"expected \(observation, reward, terminated, truncated, info\)$"):
        env(Old(BOX, TWO, ZEROS), max_episode_steps=limit)
    with pytest.raises(ValueError, match=r"^environment 'OldReset', reset: expected reset\(\) to return \(observation, info\)"):
        env(OldReset(BOX, TWO, ZEROS), max_episode_steps=limit)


class Unseeded(Steps):
    def reset(self):
        return ZEROS[0], {}


class OnlySeed(Steps):
    def reset(self, seed=None):
        self.seeds = [*getattr(self, "seeds", []), seed]
        return ZEROS[0], {}


@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: gymnasium.wrappers.OrderEnforcing(gymnasium.wrappers.TimeLimit(e, 5))])
def test_a_reset_without_seed_is_warned_of_and_one_without_options_gets_its_seed(wrap):
    with pytest.warns(UserWarning, match=r"^environment 'Unseeded': its reset\(\) takes no seed, so its episodes cannot be repeated$"):
        made = env(wrap(Unseeded(BOX, TWO, ZEROS)))
    assert made.reset(seed=3).tolist() == [0, 0]
    made = env(wrap(only := OnlySeed(BOX, TWO, ZEROS)))
    made.reset(seed=7)
    assert only.seeds == [7]                                                     # it was tried on a copy


def test_an_environment_is_tried_on_a_copy_and_on_itself_if_it_has_none():
    class Alone(Steps):
        def __deepcopy__(self, memo):
            raise TypeError("cannot pickle 'simulator'")

    env(stepped := Steps(BOX, TWO, ZEROS))
    assert stepped.got == []
    env(stepped := Alone(BOX, TWO, ZEROS))
    assert stepped.got == [0, 1]
    with pytest.raises(ValueError, match=r"^environment 'Alone' cannot be copied \(TypeError\): pass its class or a function that makes one$"):
        envs(stepped, 2)
    assert envs(lambda: Alone(BOX, TWO, ZEROS), 2).count == 2


@pytest.mark.parametrize(("seen", "acts", "message"), [
    (BOX, spaces.MultiDiscrete([101, 100]), r"actions MultiDiscrete\(\[101 100\]\): expected at most 10,000 combinations, .*, got 10,100"),
    (BOX, spaces.Dict(a=BOX, b=TWO), "actions Dict.*: expected a Discrete, MultiDiscrete, MultiBinary or Box space"),
    (BOX, spaces.Sequence(TWO), "actions Sequence"),
    (spaces.Sequence(BOX), TWO, "observations Sequence.*: expected a Box, Discrete, MultiDiscrete or MultiBinary space"),
    (spaces.Dict(a=BOX, b=spaces.Text(5)), TWO, "observations Text"),
    (None, TWO, "expected observation_space to be a gymnasium.Space, got None"),
])
def test_spaces_that_are_not_supported_are_named(seen, acts, message):
    with pytest.raises(ValueError, match=f"^environment 'Steps': {message}"):
        env(Steps(seen, acts, ZEROS))


@pytest.mark.parametrize(("acts", "action", "message"), [
    (TWO, 2, r"expected an action in 0\.\.1, got 2"),
    (spaces.Discrete(2, start=5), 5, r"expected an action in 0\.\.1, got 5"),
    (TWO, 0.0, r"expected an action in 0\.\.1, got 0\.0"),
    (BOX, np.zeros(3), r"expected an action of shape \(2,\) without nan, got array\(\[0\., 0\., 0\.\]\)"),
    (BOX, np.array([0, np.nan]), r"expected an action of shape \(2,\) without nan, got array\(\[ ?0\., nan\]\)"),
])
def test_actions_that_are_none_are_refused(acts, action, message):
    made = env(Steps(BOX, acts, ZEROS))
    made.reset(seed=0)
    with pytest.raises(ValueError, match=f"^environment 'Steps', step 1: {message}$"):
        made.step(action)


def test_the_built_in_cart_refuses_a_third_action():
    single, several = env("CartPole-v1"), envs("CartPole-v1", 2)
    single.reset(seed=0)
    several.reset(seed=0)
    with pytest.raises(ValueError, match=r"^CartPole-v1: expected the action 0 or 1, got 2$"):
        single.step(2)
    with pytest.raises(ValueError, match=r"^CartPole-v1: expected the actions 0 and 1, got \[0 2\]$"):
        several.step(np.array([0, 2]))


class Own:
    """The protocol of this library, with one array for all observations."""

    observation_shape, action_shape, num_actions = (1,), (), 2

    def __init__(self, start=0.0):
        self.start = start

    def reset(self, seed=None):
        self.s = np.full(1, self.start)
        return self.s

    def step(self, action):
        self.s += 1
        return self.s, np.float32(1), False, np.bool_(False)

    def state_dict(self):
        return {"s": float(self.s[0])}

    def load_state_dict(self, state):
        self.s = np.full(1, state["s"])


def test_sources(workplace, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("mazes_for_tests.py").write_text("from walls_for_tests import Own\nimport gymnasium\n\nclass Maze(Own):\n    pass\n\n"
                                          "def build(start):\n    return Maze(start)\n\nready = Maze(7.0)\nsize = 5\n", encoding="utf-8")
    Path("walls_for_tests.py").write_text("import numpy as np\n\n" + inspect.getsource(Own), encoding="utf-8")
    for source, options, first in [("mazes_for_tests:Maze", {}, 0), ("mazes_for_tests:Maze", {"start": 3.0}, 3),
                                   ("mazes_for_tests:build", {"start": 4.0}, 4), ("mazes_for_tests:ready", {}, 7),
                                   ("./mazes_for_tests.py:Maze", {"start": 5.0}, 5), (str(workplace / "mazes_for_tests.py") + ":Maze", {}, 0),
                                   (Own, {"start": 6.0}, 6), (Own(8.0), {}, 8), (lambda start: Own(start), {"start": 9.0}, 9)]:
        made = env(source, **options)
        assert (made.reset(seed=0).tolist(), made.step(1)[0].tolist()) == ([first], [first + 1])
        assert envs(source, 3, **options).reset(seed=0).tolist() == [[first]] * 3
    assert env("mazes_for_tests:Maze").name == "mazes_for_tests:Maze"
    assert isinstance(env("deepcanon.data.environments:CartPole"), CartPole)
    assert env("gymnasium.envs.classic_control:Acrobot-v1").num_actions == 3     # Gymnasium's own "module:id"


@pytest.mark.parametrize(("source", "message"), [
    ("mazes_for_errors:Mase", r"environment 'mazes_for_errors:Mase': 'mazes_for_errors' has no 'Mase'; did you mean 'Maze'\?"),
    ("mazes_for_erors:Maze", r"environment 'mazes_for_erors:Maze': there is no module 'mazes_for_erors'; did you mean 'mazes_for_errors'\?"),
    ("gymnasium.wrapers:TimeLimit", r"environment .*: there is no module 'gymnasium\.wrapers'; did you mean 'wrappers'\?"),
    ("./mazes_for_erors.py:Maze", r"environment .*: there is no file './mazes_for_erors.py'; did you mean 'mazes_for_errors.py'\?"),
    ("./mazes_for_errors.py", r"expected the name of a class or function after the path, such as './mazes_for_errors.py:ClassName'"),
    ("./broken_for_errors.py:Maze", r"environment .*: importing './broken_for_errors.py' failed: ModuleNotFoundError: No module named 'no_such'"),
    ("broken_for_errors:Maze", r"environment .*: importing 'broken_for_errors' failed: ModuleNotFoundError: No module named 'no_such'"),
    ("mazes_for_errors:size", r"expected an environment: a name, .*; 'mazes_for_errors:size' is 5"),
    ("mazes_for_errors:Bare", r"environment .*: Bare is no gymnasium.Env and lacks observation_shape, action_shape, num_actions, state_dict, .*"),
    ("mazes_for_errors:Duck", r"environment .*: Duck is no gymnasium.Env: derive it from gymnasium.Env"),
    ("Acrobt-v1", r"unknown environment 'Acrobt-v1': did you mean 'Acrobot-v1'\?"),
    (3, r"expected an environment: a name, .*; 'int' is 3"),
])
def test_a_source_that_is_none_is_one_line(source, message, workplace, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("mazes_for_errors.py").write_text("size = 5\n\nclass Maze:\n    pass\n\nclass Bare:\n    def reset(self): pass\n"
                                           "    def step(self, a): pass\n\n"
                                           "class Duck(Bare):\n    observation_space = 1\n", encoding="utf-8")
    Path("broken_for_errors.py").write_text("import no_such\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"^{message}$") as caught:
        env(source)
    assert "\n" not in str(caught.value)


def test_several_at_once_are_refused_where_one_is_meant():
    for several in (gymnasium.make_vec("CartPole-v1", 2), envs("CartPole-v1", 2)):
        with pytest.raises(ValueError, match=r"is several environments at once \(.*\): pass one of them, its class or its name"):
            env(several)
    with pytest.raises(ValueError, match=r"^environment 'Steps' exists already and takes no options, got size: pass its class$"):
        env(Steps(BOX, TWO, ZEROS), size=3)


def test_copies_have_seeds_of_their_own():
    several = envs(gymnasium.make("Acrobot-v1"), 3)
    assert len({tuple(row) for row in several.reset(seed=4).tolist()}) == 3
    with (pytest.warns(UserWarning, match="takes no seed"),
          pytest.raises(ValueError, match=r"^environment 'Unseeded': its reset\(\) takes no seed, so its copies would all play the same episodes")):
        envs(Unseeded(BOX, TWO, ZEROS), 2)


def test_a_time_limit_truncates():
    for source in (lambda: Steps(BOX, TWO, ZEROS), Own, Own(), "Acrobot-v1", "CartPole-v1"):
        made = env(source, max_episode_steps=3)
        made.reset(seed=0)
        assert [made.step(0)[2:] for _ in range(3)] == [(False, False), (False, False), (False, True)]
        assert made.step_limit == 3
    with pytest.raises(ValueError, match=r"^expected max_episode_steps of 1 or more, got 0$"):
        env(Own, max_episode_steps=0)


def test_metadata_are_json_and_describe_says_what_is_done():
    assert env_metadata(env("Pendulum-v1")) == {
        "name": "Pendulum-v1", "observation_shape": [3], "num_actions": None, "action_shape": [1], "bounds": [[-2.0], [2.0]], "step_limit": 200}
    assert env_metadata(envs("CartPole-v1", 2)) == {
        "name": "CartPole-v1", "observation_shape": [4], "num_actions": 2, "action_shape": [], "bounds": None, "step_limit": 500}
    open_ended = env(Steps(spaces.Discrete(3), spaces.Box(-np.inf, 1, (2,)), [0]))
    assert env_metadata(open_ended)["bounds"] == [[None, None], [1.0, 1.0]]
    described = describe_env(Steps(spaces.Discrete(3), spaces.MultiDiscrete([2, 3]), [0]))
    assert json.loads(json.dumps(described)) == described
    assert (described["action_kind"], described["num_actions"], described["step_limit"]) == ("discrete", 6, None)
    assert described["observations"] == "one-hot vectors of 3 numbers"
    assert described["actions"] == "the 6 combinations of 2 choices, numbered 0..5 for the agent"
    assert described["resumes"] == "in the middle of an episode"
    hidden = Steps(spaces.Discrete(3), spaces.Discrete(2), [0])
    hidden.engine = object()
    assert describe_env(hidden)["resumes"] == "with a new episode"
    assert describe_env("Acrobot-v1")["resumes"] == "in the middle of an episode"
    described = describe_env("CartPole-v1")
    assert (described["kind"], described["actions"], described["resumes"]) == ("env", "0..1", "in the middle of an episode")
    with pytest.raises(ValueError, match=r"^expected an environment of bounded actions, those of Steps lie between \[-inf -inf\] and \[1\. 1\.\]$"):
        action_bounds(open_ended)


def test_pixels_keep_their_range_and_say_so():
    described = describe_env(Steps(spaces.Box(0, 255, (2,), np.uint8), TWO, [np.array([0, 255], np.uint8)]))
    assert described["observations"] == "uint8 copied to float32, not rescaled"


def test_an_environment_without_bounds_or_actions_is_refused():
    class Neither(Own):
        num_actions = None

    with pytest.raises(ValueError, match=r"^environment 'Neither': expected num_actions of 1 or more, .*; got None and \(\)$"):
        env(Neither)


def test_closing_reaches_the_environment():
    closed = []
    for made in (Steps(BOX, TWO, ZEROS), Own()):
        type(made).close = lambda self: closed.append(type(self).__name__)
    several = SequentialEnvs([env(Steps(BOX, TWO, ZEROS)), env(Steps(BOX, TWO, ZEROS))])
    several.close()
    env(Own()).close()
    del Own.close, Steps.close
    assert closed == ["Steps", "Steps", "Own"]


def fails_at(where: str):
    """An environment whose method of that name raises."""
    class Failing(Steps):
        def __init__(self, size=None):
            super().__init__(BOX, TWO, ZEROS)
            if where == "made":
                {}["size"]

        def reset(self, *, seed=None, options=None):
            return 1 / 0 if where == "reset" else super().reset(seed=seed)

        def step(self, action):
            return [][self.t] if where == "step" and self.t == 2 else super().step(action)

    return Failing


def test_what_the_users_environment_raises_is_one_line_with_its_name_and_place():
    with pytest.raises(ValueError, match=r"^environment 'Failing' cannot be made: KeyError: 'size'$") as caught:
        env(fails_at("made"))
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(ValueError, match=r"^environment 'Failing' cannot be made: TypeError: .* argument 'sise'"):
        env(fails_at("nowhere"), sise=3)
    with pytest.raises(ValueError, match=r"^environment 'Failing', reset: its reset\(\) raised ZeroDivisionError: division by zero$"):
        env(fails_at("reset"))
    failing = env(fails_at("step"))
    failing.reset()
    failing.step(0), failing.step(1)
    with pytest.raises(ValueError, match=r"^environment 'Failing', step 3: its step\(\) raised IndexError: list index out of range$"):
        failing.step(0)
