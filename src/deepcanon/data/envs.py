"""Environments: "CartPole-v1" and "Pendulum-v1" are built in, every other name is a Gymnasium id (Towers et al. 2024, arXiv 2407.17032).

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
    """The world of that name: "CartPole-v1" and "Pendulum-v1" without any dependency, else a Gymnasium id with its own options.

    Raises:
        ModuleNotFoundError: the name needs Gymnasium, which is not installed.
        ValueError: no such environment.
    """
    if name in BUILT_IN and not options:
        return BUILT_IN[name]()
    return Gymnasium(name, **options)


def action_bounds(env: Environment) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest action of a world of real actions, each of shape `action_shape`.

    Raises:
        ValueError: the actions are numbered, or have no bounds.
    """
    if env.num_actions is not None:
        raise ValueError(f"expected a world of real actions, {type(env).__name__} has {env.num_actions} numbered ones")
    low, high = map(np.asarray, getattr(env, "bounds", (-np.inf, np.inf)))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError(f"expected a world of bounded actions, those of {type(env).__name__} lie between {low} and {high}")
    return low, high


def check_action(env: Any, action: Any, *, count: tuple[int, ...] = ()) -> None:
    """Refuse an action that is none of this world's; `count` precedes its shape where several worlds act at once."""
    action = np.asarray(action)
    expected, numbered = (*count, *env.action_shape), env.num_actions is not None
    if action.shape != expected or (action.dtype.kind in "iu") != numbered:
        kind = f"numbers below {env.num_actions}" if numbered else "real numbers"
        raise ValueError(f"expected actions of shape {expected}, {kind}; the agent's have shape {action.shape} and type {action.dtype}")


class CartPole:
    """Balance a pole on a cart by pushes of 10 N (Barto, Sutton & Anderson 1983); the dynamics, to the bit, of Gymnasium's CartPole-v1.

    Observation (4,): position x (m), velocity, angle theta (rad), angular velocity. Action 0 pushes left, 1 right. Reward 1 a step.
    Terminates at |x| > 2.4 or |theta| > 12 degrees, is truncated after 500 steps: the best return is 500.
    """

    observation_shape: tuple[int, ...] = (4,)
    action_shape: tuple[int, ...] = ()
    num_actions: int | None = 2
    force, dt, x_limit, theta_limit, step_limit = 10.0, 0.02, 2.4, 12 * 2 * math.pi / 360, 500

    def __init__(self):
        self.rng = np.random.default_rng()
        self.state, self.steps = (math.nan,) * 4, 0

    def reset(self, seed: int | None = None) -> np.ndarray:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.state, self.steps = tuple(self.rng.uniform(-0.05, 0.05, 4).tolist()), 0
        return np.array(self.state, np.float32)

    def step(self, action: Any) -> Step:
        x, x_dot, theta, theta_dot = self.state
        force = self.force if action == 1 else -self.force
        x_acc, theta_acc = cartpole_accelerations(theta_dot, math.sin(theta), math.cos(theta), force)
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


def cartpole_accelerations(theta_dot: Any, sin: Any, cos: Any, force: Any) -> tuple[Any, Any]:
    """Of a cart of 1 kg (m/s^2) and of a pole of 0.1 kg and 1 m on it (rad/s^2), without friction; numbers or arrays."""
    gravity, half_length, pole_mass, total_mass = 9.8, 0.5, 0.1, 0.1 + 1.0
    moment = pole_mass * half_length
    push = (force + moment * (theta_dot * theta_dot) * sin) / total_mass
    theta_acc = (gravity * sin - cos * push) / (half_length * (4 / 3 - pole_mass * (cos * cos) / total_mass))
    return push - moment * theta_acc * cos / total_mass, theta_acc


class Pendulum:
    """Swing a pendulum up and hold it, with a torque too weak to lift it at once; the dynamics, to the bit, of Gymnasium's Pendulum-v1.

    Observation (3,): cos theta, sin theta, angular velocity. Action (1,): a torque in [-2, 2] N m, what exceeds it is clipped.
    Reward -(theta^2 + 0.1 velocity^2 + 0.001 torque^2) with theta in [-pi, pi) from the upright. Truncated after 200 steps, never terminated.
    """

    observation_shape: tuple[int, ...] = (3,)
    action_shape: tuple[int, ...] = (1,)
    num_actions: int | None = None
    bounds = np.full(1, -2, np.float32), np.full(1, 2, np.float32)
    dt, max_speed, step_limit = 0.05, 8.0, 200

    def __init__(self):
        self.rng = np.random.default_rng()
        self.state, self.steps = (math.nan, math.nan), 0

    def reset(self, seed: int | None = None) -> np.ndarray:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.state, self.steps = tuple(self.rng.uniform([-math.pi, -1.0], [math.pi, 1.0]).tolist()), 0
        return self.observe()

    def step(self, action: Any) -> Step:
        theta, speed = np.array(self.state)
        torque = np.float32(min(max(action[0], -2.0), 2.0))
        cost = pendulum_cost(theta, speed, torque)
        speed = min(max(speed + pendulum_acceleration(np.sin(theta), torque) * self.dt, -self.max_speed), self.max_speed)
        self.state, self.steps = (float(theta + speed * self.dt), float(speed)), self.steps + 1
        return self.observe(), -float(cost), False, self.steps >= self.step_limit

    def observe(self) -> np.ndarray:
        theta, speed = self.state
        return np.array((np.cos(theta), np.sin(theta), speed), np.float32)

    def state_dict(self) -> dict[str, Any]:
        return {"state": list(self.state), "steps": self.steps, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state, self.steps = tuple(state["state"]), state["steps"]
        self.rng = np.random.default_rng()
        self.rng.bit_generator.state = state["rng"]


def pendulum_acceleration(sin: Any, torque: Any) -> Any:
    """Of a rod of 1 kg and 1 m under 10 m/s^2 (rad/s^2); numbers or arrays."""
    return 3 * 10.0 / 2 * sin + 3.0 * torque


def pendulum_cost(theta: Any, speed: Any, torque: Any) -> Any:
    """theta^2 + 0.1 speed^2 + 0.001 torque^2, theta brought to [-pi, pi); numbers or arrays."""
    upright = (theta + math.pi) % (2 * math.pi) - math.pi
    return upright**2 + 0.1 * speed**2 + 0.001 * torque**2


BUILT_IN = {"CartPole-v1": CartPole, "Pendulum-v1": Pendulum}

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
        if self.num_actions is None:
            self.bounds = acts.low, acts.high

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
        without = ", ".join(BUILT_IN)
        raise ModuleNotFoundError(f'environment {name!r} needs Gymnasium: pip install "deepcanon[rl]" (without it: {without})') from None
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
