"""What the recipes of agents ask of an environment, and what they leave alone."""

import importlib
import sys

import gymnasium
import numpy as np
import pytest
import torch

import deepcanon
from deepcanon import recipes
from deepcanon.engine import options
from deepcanon.rl.policies import categorical, gaussian

FEW = {"dqn": {"env_steps": 60, "batch": 8}, "sac": {"env_steps": 40, "width": 16, "batch": 8, "warmup": 30},
       "ppo": {"env_steps": 64, "num_envs": 2, "horizon": 16, "epochs": 2, "width": 16}}
LINE = """
import gymnasium
import numpy as np

class Line(gymnasium.Env):
    '''Eight steps; of {actions}.'''

    observation_space = gymnasium.spaces.Box(-9, 9, (2,), np.float32)
    action_space = gymnasium.spaces.{actions}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {{}}

    def step(self, action):
        self.t += 1
        return np.array([self.t, np.sum(action)], np.float32), float(np.sum(action)), False, self.t == 8, {{}}
"""
DISCRETE, REAL, ENDLESS = "Discrete(3)", "Box(-1, 1, (2,), np.float32)", "Box(-np.inf, np.inf, (2,), np.float32)"


def short(name: str, env, **arguments):
    """A run of some steps."""
    with options(quiet=True):
        return getattr(recipes, name)(env, **FEW[name] | arguments)


@pytest.fixture
def module(workplace, monkeypatch):
    """Writes a module of an environment with such actions; what names its class."""
    monkeypatch.setattr(sys, "path", sys.path.copy())

    def write(actions: str) -> str:
        (workplace / "line_env.py").write_text(LINE.format(actions=actions))
        importlib.invalidate_caches()
        return "line_env:Line"

    yield write
    sys.modules.pop("line_env", None)


@pytest.mark.row("RL-22")
def test_ppo_balances_a_pole_for_two_rollouts(workplace):
    run = short("ppo", "CartPole-v1", env_steps=512, num_envs=8, horizon=32)
    assert run.steps == 2
    assert 8 <= run.results["return"] <= 500
    assert run.method.kind is categorical


@pytest.mark.row("RL-34")
def test_sac_swings_a_pendulum_for_some_steps(workplace):
    run = short("sac", "Pendulum-v1")
    assert run.steps == 20                                                       # the warm-up is at most half of the 40
    assert -2_000 < run.results["return"] < 0


@pytest.mark.row("RL-30", "RL-31")
def test_dqn_ends_early_where_its_practice_is_good_enough(workplace):
    """Any episode of CartPole has a return of 1 or more."""
    whole = short("dqn", "CartPole-v1", env_steps=100, every=3, evaluate_every=5, until=None)
    assert (whole.steps, "practice" in whole.results) == ((100 - 10) // 3, False)
    early = short("dqn", "CartPole-v1", env_steps=100, every=3, evaluate_every=5, until=1.0)
    assert early.steps == 5
    assert early.results["practice"] >= 1


@pytest.mark.parametrize(("env", "width"), [("Pendulum-v1", 2), ("line_env:Line", 4)])
def test_ppo_draws_real_actions_from_normal_distributions(env, width, module):
    module(REAL)
    method = short("ppo", env).method
    assert method.kind is gaussian
    assert method.policy[-1].out_features == width                               # mean and log-deviation of each axis
    action = method.act(np.zeros(method.policy[0].in_features, np.float32))
    assert (action.shape, action.dtype) == ((width // 2,), np.float32)


@pytest.mark.parametrize(("name", "env", "message"), [
    ("dqn", "Pendulum-v1", r"^this agent needs discrete actions, Pendulum-v1 has real ones: take ppo or sac$"),
    ("sac", "CartPole-v1", r"^this agent needs real actions, CartPole-v1 has 2 discrete ones: take dqn or ppo$")])
def test_actions_of_the_other_kind_are_refused_in_one_line(name, env, message, workplace):
    with pytest.raises(ValueError, match=message):
        short(name, env)
    assert not (workplace / "runs").exists()


def test_actions_without_bounds_and_pictures_are_refused(module):
    with pytest.raises(ValueError, match=r"^this agent needs bounded actions; those of line_env:Line lie between \[-inf -inf\] and"):
        short("sac", module(ENDLESS))

    class Screen(gymnasium.Env):
        observation_space, action_space = gymnasium.spaces.Box(0, 1, (4, 5), np.float32), gymnasium.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return np.zeros((4, 5), np.float32), {}

        def step(self, action):
            return np.zeros((4, 5), np.float32), 0.0, False, True, {}

    with pytest.raises(ValueError, match=r"^this agent's nets read vectors; the observations of Screen have shape \(4, 5\)$"):
        short("dqn", Screen)


@pytest.mark.parametrize(("name", "actions"), [("dqn", DISCRETE), ("ppo", DISCRETE), ("ppo", REAL), ("sac", REAL)])
def test_a_saved_agent_needs_its_environment_no_more(name, actions, module, workplace):
    run = short(name, module(actions))
    (workplace / "line_env.py").unlink()
    del sys.modules["line_env"]
    importlib.invalidate_caches()
    with pytest.raises(ValueError, match=r"^environment 'line_env:Line': there is no module 'line_env'"):
        short(name, "line_env:Line")
    agent = deepcanon.load(run.folder)
    assert all(torch.equal(a, b) for a, b in zip(agent.state_dict().values(), run.method.state_dict().values(), strict=True))
    seen = np.array([3.0, -0.5], np.float32)
    assert np.array_equal(agent.act(seen), run.method.eval().act(seen))


class Watched(gymnasium.Env):
    """Episodes of eight steps; none can be taken after their end."""

    observation_space, action_space = gymnasium.spaces.Box(0, 9, (1,), np.float32), gymnasium.spaces.Discrete(2)

    def __init__(self):
        self.t = 8

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert self.t < 8, "a step after the end"
        self.t += 1
        return np.array([self.t], np.float32), 1.0, False, self.t == 8, {}


@pytest.mark.parametrize("name", ["dqn", "ppo"])
def test_an_evaluation_leaves_the_episode_in_training_as_it_is(name, workplace):
    frequent = {"evaluate_every": 5, "every": 3} if name == "dqn" else {}
    assert short(name, Watched(), **frequent).results["return"] == 8.0


def test_an_object_that_cannot_be_copied_is_refused_before_training(workplace):
    class Single(Watched):
        def __deepcopy__(self, memo):
            raise TypeError("held by a simulator")

    with pytest.raises(ValueError, match=r"cannot be copied for its evaluation \(TypeError\): pass its class or a function that makes one$"):
        short("dqn", Single())
    assert not (workplace / "runs").exists()


class Endless(gymnasium.Env):
    """Nothing ends."""

    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32), gymnasium.spaces.Discrete(2)
    steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        Endless.steps += 1
        return np.zeros(1, np.float32), 1.0, False, False, {}


def test_an_environment_without_a_time_limit_does_not_hold_up_the_evaluation(workplace, monkeypatch):
    monkeypatch.setattr("deepcanon.recipes.rl.agents.LONGEST", 30)
    with pytest.warns(UserWarning, match="Endless has no time limit: an episode of the evaluation ends after 30 steps"):
        run = short("ppo", Endless)
    assert run.results["return"] == 30
    assert Endless.steps < 64 + 21 * 30 + 50
