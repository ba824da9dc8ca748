"""Environments that step together: `envs("CartPole-v1", 8)`. Observations, rewards and ends are arrays with a
row an environment.

    o_0 = reset(),    (o_{t+1}, r_t, terminated, truncated) = step(a_t),    o_{t+1} <- restart(done)

An environment whose episode is done shows its last observation, from which the value of a truncated episode
is bootstrapped, until `restart`. The built-in environments are one computation on arrays, all others a list
that steps in turn.
N environments, S the shape of an observation.
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped

from deepcanon.data.env_checks import FLOAT32_MAX, Environment, as_array, as_observation, named, shown
from deepcanon.data.env_classic import (
    CartPole,
    Pendulum,
    cartpole_accelerations,
    pendulum_acceleration,
    pendulum_cost,
)
from deepcanon.data.environments import close, env as open_env, is_own, name_of, untried

Steps = tuple[
    Shaped[np.ndarray, "N *S"], Float[np.ndarray, "N"], Bool[np.ndarray, "N"], Bool[np.ndarray, "N"]
]


@runtime_checkable
class Environments(Protocol):
    """What `Rollouts` needs of its environments.

    `restart` begins new episodes where `done` and returns what every environment shows now. `load_state_dict`
    returns, for each environment that had to begin a new episode, its first observation, and None for each
    that is where `state_dict` found it.
    """

    count: int
    observation_shape: tuple[int, ...]
    action_shape: tuple[int, ...]
    num_actions: int | None

    def reset(self, seed: int | None = None) -> np.ndarray: ...
    def step(self, actions: np.ndarray) -> Steps: ...
    def restart(self, done: np.ndarray) -> np.ndarray: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> list[np.ndarray | None]: ...


def envs(
    source: Any, count: int = 8, *, max_episode_steps: int | None = None, **options: Any
) -> Environments:
    """Several environments of one kind.

    Args:
        source, max_episode_steps, options: as of `env`. An object is copied.
        count: how many.

    Raises:
        ValueError: no environment, one that cannot be copied, or a count below 1.
    """
    if count < 1:
        raise ValueError(f"expected one environment or more, got {count}")
    if isinstance(source, str) and source in VECTOR_ENVS and not options and max_episode_steps is None:
        return VectorEnv(VECTOR_ENVS[source], count)
    first = open_env(source, max_episode_steps=max_episode_steps, **options)
    if not isinstance(source, str | type) and hasattr(source, "step"):
        return SequentialEnvs([first, *copies(first, count - 1)])
    return SequentialEnvs([first, *(untried(source, max_episode_steps, options) for _ in range(count - 1))])


def copies(env: Environment, count: int) -> list[Environment]:
    """Copies of an environment.

    Raises:
        ValueError: it cannot be copied, or its copies could not be seeded differently.
    """
    if count and not getattr(env, "seeded", True):
        raise ValueError(
            f"environment {name_of(env)!r}: its reset() takes no seed, so its copies would all play the "
            "same episodes: "
            "pass its class or a function that makes one"
        )
    try:
        return [copy.deepcopy(env) for _ in range(count)]
    except Exception as error:
        raise ValueError(
            f"environment {name_of(env)!r} cannot be copied ({type(error).__name__}): pass its class or a "
            "function that "
            "makes one"
        ) from error


class SequentialEnvs:
    """Any environments of one kind, stepped in turn.

    Raises:
        ValueError: none, or environments whose observations or actions differ.
    """

    def __init__(self, envs: Sequence[Any]):
        if not envs or len({id(env) for env in envs}) < len(envs):
            raise ValueError(f"expected one environment or more, each an object of its own, got {len(envs)}")
        self.envs, self.count = [env if is_own(env) else open_env(env) for env in envs], len(envs)
        first: Any
        first, *others = self.envs
        self.name, self.step_limit = name_of(first), getattr(first, "step_limit", None)
        self.observation_shape, self.action_shape, self.num_actions = (
            first.observation_shape,
            first.action_shape,
            first.num_actions,
        )
        if hasattr(first, "bounds"):
            self.bounds = first.bounds
        for i, other in enumerate(others, 1):
            if kind_of(other) != kind_of(first):
                raise ValueError(
                    f"expected environments of one kind: number {i} has observations, actions and their "
                    "count "
                    f"{kind_of(other)}, number 0 {kind_of(first)}"
                )
        self.observation = np.empty(0)

    def reset(self, seed: int | None = None) -> np.ndarray:
        seeds = [None if seed is None else seed * self.count + i for i in range(self.count)]
        self.observation = np.stack([env.reset(seed) for env, seed in zip(self.envs, seeds)])
        return self.observation

    def step(self, actions: np.ndarray) -> Steps:
        steps = (env.step(action) for env, action in zip(self.envs, actions, strict=True))
        observations, rewards, terminated, truncated = zip(*steps)
        self.observation = np.stack(observations)
        return self.observation, np.array(rewards, np.float32), np.array(terminated), np.array(truncated)

    def restart(self, done: np.ndarray) -> np.ndarray:
        self.observation = self.observation.copy()
        for i in np.flatnonzero(done):
            self.observation[i] = self.envs[i].reset()
        return self.observation

    def state_dict(self) -> dict[str, Any]:
        return {
            "envs": [env.state_dict() for env in self.envs],
            "observation": torch.tensor(self.observation),
        }

    def load_state_dict(self, state: dict[str, Any]) -> list[np.ndarray | None]:
        self.observation = state["observation"].numpy().copy()
        return [env.load_state_dict(saved) for env, saved in zip(self.envs, state["envs"], strict=True)]

    def close(self) -> None:
        for env in self.envs:
            close(env)


def kind_of(env: Any) -> tuple[Any, ...]:
    """Shapes and number of actions: equal for environments that can step together."""
    return tuple(env.observation_shape), tuple(env.action_shape), env.num_actions


class CheckedEnvs:
    """Environments of the user's own that step together, with every value checked and copied.

    Args:
        envs: any object with the members of `Environments`.
    """

    def __init__(self, envs: Any):
        self.envs, self.name, self.count, self.clock = envs, name_of(envs), int(envs.count), 0
        self.observation_shape, self.action_shape = tuple(envs.observation_shape), tuple(envs.action_shape)
        self.num_actions = envs.num_actions
        if hasattr(envs, "bounds"):
            self.bounds = envs.bounds

    def reset(self, seed: int | None = None) -> np.ndarray:
        self.clock = 0
        return named(self, self.observe, self.envs.reset(seed=seed))

    def step(self, actions: np.ndarray) -> Steps:
        self.clock += 1
        return named(self, self.moved, self.envs.step(np.array(actions)))

    def moved(self, result: Any) -> Steps:
        """Observations, rewards and ends of what `step` returned."""
        if not isinstance(result, tuple) or len(result) != 4:
            raise ValueError(
                "expected step() to return (observations, rewards, terminated, truncated), got "
                f"{shown(result)}"
            )
        observations, rewards, *ends = result
        rewards, terminated, truncated = map(self.row, (rewards, *ends))
        if not (np.abs(rewards) <= FLOAT32_MAX).all():
            raise ValueError(f"expected finite rewards, got {rewards}")
        return (
            self.observe(observations),
            rewards.astype(np.float32),
            terminated.astype(bool),
            truncated.astype(bool),
        )

    def row(self, values: Any) -> np.ndarray:
        """One number an environment."""
        array = as_array(values)
        if array is None or array.shape != (self.count,):
            raise ValueError(f"expected rewards and ends of shape ({self.count},), got {shown(values)}")
        return array

    def observe(self, observations: Any) -> np.ndarray:
        return as_observation(observations, (self.count, *self.observation_shape))

    def restart(self, done: np.ndarray) -> np.ndarray:
        return named(self, self.observe, self.envs.restart(done.copy()))

    def state_dict(self) -> dict[str, Any]:
        return {"envs": self.envs.state_dict(), "clock": self.clock}

    def load_state_dict(self, state: dict[str, Any]) -> list[np.ndarray | None]:
        self.clock = state["clock"]
        return self.envs.load_state_dict(state["envs"])


def checked_envs(envs: Any) -> Any:
    """Several environments with their values checked.

    Raises:
        ValueError: a single environment, or an object that lacks a member of `Environments`.
    """
    if type(envs) in (VectorEnv, SequentialEnvs, CheckedEnvs):
        return envs
    if not isinstance(envs, Environments):
        raise ValueError(
            f"expected several environments, as envs(source, count) makes them, got {type(envs).__name__}"
        )
    return CheckedEnvs(envs)


class Physics(NamedTuple):
    """An environment as arithmetic on states (D, N), one column an environment.

    env: its shapes and its time limit; start: (rng, count) -> states; move: (states, actions) -> states,
    rewards, terminated;
    observe: states -> observations (N, *S).
    """

    env: type[CartPole] | type[Pendulum]
    start: Callable[[np.random.Generator, int], np.ndarray]
    move: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
    observe: Callable[[np.ndarray], np.ndarray]


class VectorEnv:
    """N built-in environments as one computation on arrays; the dynamics of the single one."""

    def __init__(self, physics: Physics, count: int):
        self.physics, self.count, env = physics, count, physics.env
        self.name, self.step_limit = env.name, env.step_limit
        self.observation_shape, self.action_shape, self.num_actions = (
            env.observation_shape,
            env.action_shape,
            env.num_actions,
        )
        if issubclass(env, Pendulum):
            self.bounds = env.bounds
        self.rng = np.random.default_rng()
        self.state, self.clock = np.empty((0, count)), np.zeros(count, np.int64)

    def reset(self, seed: int | None = None) -> np.ndarray:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.state, self.clock = self.physics.start(self.rng, self.count), np.zeros(self.count, np.int64)
        return self.physics.observe(self.state)

    def step(self, actions: np.ndarray) -> Steps:
        self.state, rewards, terminated = self.physics.move(self.state, actions)
        self.clock = self.clock + 1
        return (
            self.physics.observe(self.state),
            rewards,
            terminated,
            self.clock >= self.physics.env.step_limit,
        )

    def restart(self, done: np.ndarray) -> np.ndarray:
        self.state[:, done], self.clock[done] = self.physics.start(self.rng, int(done.sum())), 0
        return self.physics.observe(self.state)

    def state_dict(self) -> dict[str, Any]:
        return {
            "state": torch.tensor(self.state),
            "clock": torch.tensor(self.clock),
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> list[np.ndarray | None]:
        self.state, self.clock = state["state"].numpy().copy(), state["clock"].numpy().copy()
        self.rng = np.random.default_rng()
        self.rng.bit_generator.state = state["rng"]
        return [None] * self.count


PUSHES = np.array([-CartPole.force, CartPole.force])                   # of the actions 0 and 1


def cartpole_start(rng: np.random.Generator, count: int) -> Float[np.ndarray, "4 {count}"]:
    """Almost upright, almost at rest."""
    return rng.uniform(-0.05, 0.05, (4, count))


def cartpole_move(state: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, x', theta, theta' after 0.02 s of a push to the left (0) or right (1)."""
    _, x_dot, theta, theta_dot = state
    try:
        force = PUSHES[actions]
    except IndexError:
        raise ValueError(f"CartPole-v1: expected the actions 0 and 1, got {actions}") from None
    x_acc, theta_acc = cartpole_accelerations(theta_dot, np.sin(theta), np.cos(theta), force)
    state = state + CartPole.dt * np.array([x_dot, x_acc, theta_dot, theta_acc])
    stands = (np.abs(state[0]) <= CartPole.x_limit) & (np.abs(state[2]) <= CartPole.theta_limit)
    return state, np.ones(len(actions), np.float32), ~stands


def cartpole_observe(state: np.ndarray) -> Float[np.ndarray, "N 4"]:
    """The state itself."""
    return state.T.astype(np.float32)


def pendulum_start(rng: np.random.Generator, count: int) -> Float[np.ndarray, "2 {count}"]:
    """Any angle, slow."""
    return rng.uniform([[-math.pi], [-1.0]], [[math.pi], [1.0]], (2, count))


def pendulum_move(state: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """theta, theta' after 0.05 s of a torque."""
    (theta, speed), torque = state, actions[:, 0].clip(-2.0, 2.0)
    cost = pendulum_cost(theta, speed, torque)
    speed = speed + pendulum_acceleration(np.sin(theta), torque) * Pendulum.dt
    speed = speed.clip(-Pendulum.max_speed, Pendulum.max_speed)
    return (
        np.array([theta + speed * Pendulum.dt, speed]),
        -cost.astype(np.float32),
        np.zeros(len(actions), bool),
    )


def pendulum_observe(state: np.ndarray) -> Float[np.ndarray, "N 3"]:
    """cos theta, sin theta, theta'."""
    theta, speed = state
    return np.stack([np.cos(theta), np.sin(theta), speed], 1).astype(np.float32)


VECTOR_ENVS = {"CartPole-v1": Physics(CartPole, cartpole_start, cartpole_move, cartpole_observe),
               "Pendulum-v1": Physics(Pendulum, pendulum_start, pendulum_move, pendulum_observe)}
