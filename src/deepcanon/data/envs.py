"""Environments: `env("CartPole-v1")` is built in, every other name is a Gymnasium id (Towers et al. 2024, arXiv 2407.17032).

    o_0 = reset(),    (o_{t+1}, r_t, terminated, truncated) = step(a_t)

Terminated: the world ended, nothing follows (its value is 0).  Truncated: only the clock ran out, the world went on.
"""

import difflib
import math
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

Step = tuple[np.ndarray, float, bool, bool]                                      # observation, reward, terminated, truncated


@runtime_checkable
class Environment(Protocol):
    """What agents and `Experience` need of a world; any class with these members will do.

    `num_actions` is None, and `action_shape` not (), where actions are real vectors.
    `load_state_dict` leaves the world where `state_dict` found it, or starts a new episode and returns its first observation.
    """

    observation_shape: tuple[int, ...]
    action_shape: tuple[int, ...]
    num_actions: int | None

    def reset(self, seed: int | None = None) -> np.ndarray: ...
    def step(self, action: Any) -> Step: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> np.ndarray | None: ...


def env(name: str, **options: Any) -> Environment:
    """The world of that name: "CartPole-v1" without any dependency, else a Gymnasium id with its own options.

    Raises:
        ModuleNotFoundError: the name needs Gymnasium, which is not installed.
        ValueError: no such environment.
    """
    if name == "CartPole-v1" and not options:
        return CartPole()
    return Gymnasium(name, **options)


class CartPole:
    """Balance a pole on a cart by pushes of 10 N (Barto, Sutton & Anderson 1983); the dynamics, to the bit, of Gymnasium's CartPole-v1.

    Observation (4,): position x (m), velocity, angle theta (rad), angular velocity. Action 0 pushes left, 1 right. Reward 1 a step.
    Terminates at |x| > 2.4 or |theta| > 12 degrees, is truncated after 500 steps: the best return is 500.
    """

    observation_shape: tuple[int, ...] = (4,)
    action_shape: tuple[int, ...] = ()
    num_actions: int | None = 2
    gravity, half_length, force, dt = 9.8, 0.5, 10.0, 0.02
    pole_mass, total_mass = 0.1, 0.1 + 1.0
    x_limit, theta_limit, step_limit = 2.4, 12 * 2 * math.pi / 360, 500

    def __init__(self):
        self.rng = np.random.default_rng()
        self.state, self.steps = (math.nan,) * 4, 0

    def reset(self, seed: int | None = None) -> np.ndarray:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.state, self.steps = tuple(self.rng.uniform(-0.05, 0.05, 4).tolist()), 0
        return np.array(self.state, np.float32)

    def step(self, action: int) -> Step:
        x, x_dot, theta, theta_dot = self.state
        sin, cos, moment = math.sin(theta), math.cos(theta), self.pole_mass * self.half_length
        push = ((self.force if action == 1 else -self.force) + moment * (theta_dot * theta_dot) * sin) / self.total_mass
        theta_acc = (self.gravity * sin - cos * push) / (self.half_length * (4 / 3 - self.pole_mass * (cos * cos) / self.total_mass))
        x_acc = push - moment * theta_acc * cos / self.total_mass
        x, theta = x + self.dt * x_dot, theta + self.dt * theta_dot
        self.state = x, x_dot + self.dt * x_acc, theta, theta_dot + self.dt * theta_acc
        self.steps += 1
        fell = not (-self.x_limit <= x <= self.x_limit and -self.theta_limit <= theta <= self.theta_limit)
        return np.array(self.state, np.float32), 1.0, fell, self.steps >= self.step_limit

    def state_dict(self) -> dict[str, Any]:
        return {"state": list(self.state), "steps": self.steps, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state, self.steps = tuple(state["state"]), state["steps"]
        self.rng = np.random.default_rng()
        self.rng.bit_generator.state = state["rng"]


# Modules whose environments and wrappers keep all their state in plain attributes.
TRANSPARENT = "gymnasium.envs.classic_control", "gymnasium.envs.toy_text", "gymnasium.wrappers.common"


class Gymnasium:
    """Any Gymnasium environment with array observations (or numbered ones, given as one-hot vectors) and one action, numbered or real.

    Classic control and toy text resume in the middle of an episode, to the bit. Other simulators (Box2D, MuJoCo, Atari) do not show their
    inner state: there the random stream is restored and a new episode begins.

    Raises:
        ModuleNotFoundError: Gymnasium is not installed.
        ValueError: no such environment, or spaces of another kind.
    """

    def __init__(self, name: str, **options: Any):
        self.env = make(name, options)
        seen, acts = self.env.observation_space, self.env.action_space
        if not {type(seen).__name__, type(acts).__name__} <= {"Box", "Discrete"}:
            raise ValueError(f"environment {name!r}: expected Box or Discrete spaces, got observations {seen} and actions {acts}")
        self.one_hot = np.eye(int(seen.n), dtype=np.float32) if hasattr(seen, "n") else None
        self.observation_shape = seen.shape if self.one_hot is None else self.one_hot.shape[1:]
        self.action_shape, self.num_actions = acts.shape, int(acts.n) if hasattr(acts, "n") else None

    def reset(self, seed: int | None = None) -> np.ndarray:
        return self.observe(self.env.reset(seed=seed)[0])

    def step(self, action: Any) -> Step:
        observation, reward, terminated, truncated, _ = self.env.step(action)
        return self.observe(observation), float(reward), bool(terminated), bool(truncated)

    def observe(self, observation: Any) -> np.ndarray:
        if self.one_hot is not None:
            return self.one_hot[observation]
        return observation.astype(np.float32) if observation.dtype == np.float64 else observation

    def state_dict(self) -> dict[str, Any]:
        chain = layers(self.env)
        transparent = all(type(layer).__module__.startswith(TRANSPARENT) for layer in chain)
        return {"rng": self.env.unwrapped.np_random.bit_generator.state, "layers": [plain(layer) for layer in chain] if transparent else []}

    def load_state_dict(self, state: dict[str, Any]) -> np.ndarray | None:
        self.reset(seed=0)
        self.env.unwrapped.np_random.bit_generator.state = state["rng"]
        if not state["layers"]:
            return self.reset()
        for layer, values in zip(layers(self.env), state["layers"], strict=True):
            vars(layer).update({name: v.numpy().copy() if isinstance(v, torch.Tensor) else v for name, v in values.items()})
        return None


def make(name: str, options: dict[str, Any]) -> Any:
    """`gymnasium.make`, with errors of one line that say what to do."""
    try:
        import gymnasium
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f'environment {name!r} needs Gymnasium: pip install "deepcanon[rl]" (without it: CartPole-v1)') from None
    if ":" not in name and name not in gymnasium.registry:
        near = difflib.get_close_matches(name, gymnasium.registry, n=1, cutoff=0)[0]
        raise ValueError(f"unknown environment {name!r}: did you mean {near!r}?")
    try:
        return gymnasium.make(name, **options)
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        raise ValueError(f"environment {name!r} cannot be made: {' '.join(str(error).split())}") from error


def layers(outer: Any) -> list[Any]:
    """The environment and its wrappers, from outside to inside."""
    return [outer] if outer is outer.unwrapped else [outer, *layers(outer.env)]


def plain(layer: Any) -> dict[str, Any]:
    """The attributes that are numbers, text, None, or arrays and tuples of numbers; arrays as tensors."""
    found = {}
    for name, value in vars(layer).items():
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
            found[name] = torch.tensor(value) if value.ndim else value.item()
        elif value is None or isinstance(value, int | float | str):
            found[name] = value
        elif isinstance(value, tuple) and all(isinstance(v, int | float | np.generic) for v in value):
            found[name] = tuple(v.item() if isinstance(v, np.generic) else v for v in value)
    return found
