"""Gymnasium's environments (Towers et al. 2024, arXiv 2407.17032) as this library's."""

import difflib
import inspect
import warnings
from typing import Any

import gymnasium
import numpy as np
import torch

from deepcanon.data.env_checks import Step, as_step, asked, check_limit, named, shown
from deepcanon.data.env_spaces import actions, observations
from deepcanon.data.notices import say

# Modules whose environments and wrappers keep all their state in plain attributes.
TRANSPARENT = "gymnasium.envs.classic_control", "gymnasium.envs.toy_text", "gymnasium.wrappers.common"

# Attributes of any environment or wrapper that are no state, or that are restored by themselves.
KNOWN = {"_np_random", "_np_random_seed", "spec", "_cached_spec", "observation_space", "action_space", "_observation_space",
         "_action_space", "_reward_range", "metadata", "_metadata", "env"}

OLD_STEP = ("step() returned (observation, reward, done, info), as Gym before 0.26; "
            "expected (observation, reward, terminated, truncated, info)")


class Gymnasium:
    """A Gymnasium environment; `env_spaces` says how its spaces are read.

    Observations are copied into float32 arrays. Actions are clipped to their bounds and get the type of their
    space. Classic control and toy text resume in the middle of an episode, to the bit, and so does an
    environment that has `state_dict` and `load_state_dict` of its own, or nothing but numbers, texts and
    arrays as attributes. Other simulators (Box2D, MuJoCo, Atari) do not show their inner state: there the
    random stream is restored, a new episode begins, and the resume says so.

    Args:
        env: the environment.
        name: for messages; None is the id it is registered by, or the name of its class.
        max_episode_steps: longer episodes are truncated; None leaves their length to the environment.

    Raises:
        ValueError: spaces that are not supported; later, values that are not in them, with the step.
    """

    def __init__(self, env: gymnasium.Env, name: str | None = None, max_episode_steps: int | None = None):
        self.name = name or (env.spec.id if env.spec else type(env.unwrapped).__name__)
        for space in ("observation_space", "action_space"):
            if not isinstance(getattr(env, space, None), gymnasium.Space):
                raise ValueError(f"environment {self.name!r}: expected {space} to be a gymnasium.Space, "
                                 f"got {shown(getattr(env, space, None))}")
        try:
            self.observations, self.actions = observations(env.observation_space), actions(env.action_space)
        except ValueError as error:
            raise ValueError(f"environment {self.name!r}: {error}") from None
        self.observation_shape = self.observations.shape
        self.num_actions, self.action_shape = self.actions.num_actions, self.actions.shape
        if self.actions.bounds is not None:
            self.bounds = self.actions.bounds
        self.env, self.clock = accept_seeds(env), 0
        self.seeded = all(
            "seed" in layer.accepted for layer in layers(self.env) if isinstance(layer, PlainReset)
        )
        if not self.seeded:
            warnings.warn(
                f"environment {self.name!r}: its reset() takes no seed, so its episodes cannot be repeated",
                stacklevel=4,
            )
        if (limit := check_limit(max_episode_steps)) is not None:
            self.env = gymnasium.wrappers.TimeLimit(self.env, limit)

    @property
    def step_limit(self) -> int | None:
        """Steps after which an episode is truncated, if a `TimeLimit` does it."""
        limits = [
            layer._max_episode_steps
            for layer in layers(self.env)
            if isinstance(layer, gymnasium.wrappers.TimeLimit)
        ]
        return min(limits, default=None)

    def reset(self, seed: int | None = None) -> np.ndarray:
        self.clock = 0
        return named(self, self.first, asked(self, self.env.reset, seed=seed))

    def first(self, result: Any) -> np.ndarray:
        """The observation of what `reset` returned."""
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], dict):
            raise ValueError(
                f"expected reset() to return (observation, info), as Gym since 0.26, got {shown(result)}"
            )
        return self.observations.encode(result[0])

    def step(self, action: Any) -> Step:
        self.clock += 1
        action = named(self, self.actions.decode, action)
        try:
            result = asked(self, self.env.step, action)
        except ValueError as error:                                    # a wrapper that expected five values
            if "to unpack (expected 5, got 4)" not in str(error):
                raise
            result = (None,) * 4
        return named(self, self.moved, result)

    def moved(self, result: Any) -> Step:
        """Observation, reward and ends of what `step` returned."""
        if isinstance(result, tuple) and len(result) == 4:
            raise ValueError(OLD_STEP)
        return as_step(result, self.observations.encode)

    def state_dict(self) -> dict[str, Any]:
        states = [layer_state(layer) for layer in layers(self.env)]
        generator = getattr(self.env.unwrapped.np_random, "bit_generator", None)
        return {
            "rng": generator.state if generator else None,
            "clock": self.clock,
            "layers": [] if None in states else states,
        }

    def load_state_dict(self, state: dict[str, Any]) -> np.ndarray | None:
        self.reset(seed=0)
        if state["rng"] is not None:
            self.env.unwrapped.np_random.bit_generator.state = state["rng"]
        if not state["layers"]:
            say([f"{self.name} does not show its state: a resumed run begins a new episode, and is not the unbroken one; "
                 "give it state_dict() and load_state_dict(state)"], "resume")
            return self.reset()
        for layer, values in zip(layers(self.env), state["layers"], strict=True):
            if has_state(layer):
                layer.load_state_dict(values)
            else:
                vars(layer).update(
                    {k: v.numpy().copy() if isinstance(v, torch.Tensor) else v for k, v in values.items()}
                )
        self.clock = state["clock"]
        return None

    def close(self) -> None:
        self.env.close()


class PlainReset(gymnasium.Wrapper):
    """An environment whose `reset` takes no seed or no options; what it does not take is left out."""

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.accepted = accepted(env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        given = {"seed": seed, "options": options}
        return self.env.reset(**{k: v for k, v in given.items() if k in self.accepted})


def accepted(env: Any) -> set[str]:
    """Which of seed and options the environment's `reset` takes."""
    parameters = inspect.signature(env.reset).parameters
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return {"seed", "options"} if anything else {"seed", "options"} & set(parameters)


def accept_seeds(env: Any) -> Any:
    """The environment with every layer's `reset` taking seed and options."""
    if len(accepted(env)) < 2:
        return PlainReset(env)
    if env is not env.unwrapped and (inner := accept_seeds(env.env)) is not env.env:
        env.env = inner
    return env


def make(name: str, options: dict[str, Any]) -> Any:
    """`gymnasium.make`, with errors of one line that say what to do."""
    if ":" not in name and name not in gymnasium.registry:
        near = difflib.get_close_matches(name, gymnasium.registry, n=1, cutoff=0)[0]
        raise ValueError(f"unknown environment {name!r}: did you mean {near!r}?")
    try:
        return gymnasium.make(name, **{"disable_env_checker": True} | options)
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        raise ValueError(f"environment {name!r} cannot be made: {' '.join(str(error).split())}") from error


def layers(outer: Any) -> list[Any]:
    """The environment and its wrappers, from outside to inside."""
    return [outer] if outer is outer.unwrapped else [outer, *layers(outer.env)]


def has_state(layer: Any) -> bool:
    """Whether an environment or wrapper saves and restores itself."""
    return hasattr(type(layer), "state_dict") and hasattr(type(layer), "load_state_dict")


def layer_state(layer: Any) -> dict[str, Any] | None:
    """The state of an environment or of one wrapper; None if it cannot be seen."""
    if has_state(layer):
        return layer.state_dict()
    state = plain(layer)
    hidden = vars(layer).keys() - state.keys() - KNOWN
    return state if not hidden or type(layer).__module__.startswith(TRANSPARENT) else None


def plain(layer: Any) -> dict[str, Any]:
    """The attributes that are numbers, text, None, or arrays, lists and tuples of them; arrays as tensors."""
    found = {}
    for name, value in vars(layer).items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            found[name] = torch.tensor(value)
        elif is_simple(value):
            found[name] = simple(value)
        elif isinstance(value, list | tuple) and all(map(is_simple, value)):
            found[name] = [*map(simple, value)] if isinstance(value, list) else tuple(map(simple, value))
    return found


def is_simple(value: Any) -> bool:
    """Whether a value is a number, text or None."""
    return value is None or isinstance(value, int | float | str | np.number | np.bool_)


def simple(value: Any) -> Any:
    """A number, text or None in Python's own type."""
    return value.item() if isinstance(value, np.generic) else value
