"""SequentialEnvs environments that step together: `envs("CartPole-v1", 8)`. Observations, rewards and ends are arrays with a row a world.

    o_0 = reset(),    (o_{t+1}, r_t, terminated, truncated) = step(a_t),    o_{t+1} <- restart(over)

A world that is over shows its last observation, from which the value of a truncated episode is bootstrapped, until `restart`.
The built-in worlds are one computation on arrays, all others a list that steps in turn.
N worlds, S the shape of an observation.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped

from deepcanon.data.envs import CartPole, Environment, Pendulum, cartpole_accelerations, env, pendulum_acceleration, pendulum_cost

Steps = tuple[Shaped[np.ndarray, "N *S"], Float[np.ndarray, "N"], Bool[np.ndarray, "N"], Bool[np.ndarray, "N"]]


@runtime_checkable
class Environments(Protocol):
    """What `Rollouts` needs of its worlds.

    `restart` begins new episodes where `over` and returns what every world shows now. `load_state_dict` returns, for each world that had to
    begin a new episode, its first observation, and None for each that is where `state_dict` found it.
    """

    count: int
    observation_shape: tuple[int, ...]
    action_shape: tuple[int, ...]
    num_actions: int | None

    def reset(self, seed: int | None = None) -> np.ndarray: ...
    def step(self, actions: np.ndarray) -> Steps: ...
    def restart(self, over: np.ndarray) -> np.ndarray: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> list[np.ndarray | None]: ...


def envs(name: str, count: int = 8, **options: Any) -> Environments:
    """`count` worlds of that name, see `env`.

    Raises:
        ValueError: no such environment, or a count below 1.
    """
    if count < 1:
        raise ValueError(f"expected one world or more, got {count}")
    if name in VECTOR_ENVS and not options:
        return VectorEnv(VECTOR_ENVS[name], count)
    return SequentialEnvs([env(name, **options) for _ in range(count)])


class SequentialEnvs:
    """Any environments of one kind, stepped in turn."""

    def __init__(self, worlds: Sequence[Environment]):
        self.worlds, self.count = list(worlds), len(worlds)
        self.observation_shape, self.action_shape = worlds[0].observation_shape, worlds[0].action_shape
        self.num_actions = worlds[0].num_actions
        self.observation = np.empty(0)

    def reset(self, seed: int | None = None) -> np.ndarray:
        self.observation = np.stack([world.reset(None if seed is None else seed * self.count + i) for i, world in enumerate(self.worlds)])
        return self.observation

    def step(self, actions: np.ndarray) -> Steps:
        observations, rewards, terminated, truncated = zip(*(world.step(action) for world, action in zip(self.worlds, actions, strict=True)))
        self.observation = np.stack(observations)
        return self.observation, np.array(rewards, np.float32), np.array(terminated), np.array(truncated)

    def restart(self, over: np.ndarray) -> np.ndarray:
        self.observation = self.observation.copy()
        for i in np.flatnonzero(over):
            self.observation[i] = self.worlds[i].reset()
        return self.observation

    def state_dict(self) -> dict[str, Any]:
        return {"worlds": [world.state_dict() for world in self.worlds], "observation": torch.tensor(self.observation)}

    def load_state_dict(self, state: dict[str, Any]) -> list[np.ndarray | None]:
        self.observation = state["observation"].numpy().copy()
        return [world.load_state_dict(saved) for world, saved in zip(self.worlds, state["worlds"], strict=True)]


class Physics(NamedTuple):
    """A world as arithmetic on states (D, N), one column a world.

    world: its shapes and its time limit; start: (rng, count) -> states; follow: (states, actions) -> states, rewards, terminated;
    observe: states -> observations (N, *S).
    """

    world: type[CartPole] | type[Pendulum]
    start: Callable[[np.random.Generator, int], np.ndarray]
    follow: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
    observe: Callable[[np.ndarray], np.ndarray]


class VectorEnv:
    """A built-in world, N of it as one computation on arrays; the dynamics of the single one."""

    def __init__(self, physics: Physics, count: int):
        self.physics, self.count, world = physics, count, physics.world
        self.observation_shape, self.action_shape, self.num_actions = world.observation_shape, world.action_shape, world.num_actions
        self.rng = np.random.default_rng()
        self.state, self.clock = np.empty((0, count)), np.zeros(count, np.int64)

    def reset(self, seed: int | None = None) -> np.ndarray:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.state, self.clock = self.physics.start(self.rng, self.count), np.zeros(self.count, np.int64)
        return self.physics.observe(self.state)

    def step(self, actions: np.ndarray) -> Steps:
        self.state, rewards, terminated = self.physics.follow(self.state, actions)
        self.clock = self.clock + 1
        return self.physics.observe(self.state), rewards, terminated, self.clock >= self.physics.world.step_limit

    def restart(self, over: np.ndarray) -> np.ndarray:
        self.state[:, over], self.clock[over] = self.physics.start(self.rng, int(over.sum())), 0
        return self.physics.observe(self.state)

    def state_dict(self) -> dict[str, Any]:
        return {"state": torch.tensor(self.state), "clock": torch.tensor(self.clock), "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> list[np.ndarray | None]:
        self.state, self.clock = state["state"].numpy().copy(), state["clock"].numpy().copy()
        self.rng = np.random.default_rng()
        self.rng.bit_generator.state = state["rng"]
        return [None] * self.count


def cartpole_start(rng: np.random.Generator, count: int) -> Float[np.ndarray, "4 {count}"]:
    """Almost upright, almost at rest."""
    return rng.uniform(-0.05, 0.05, (4, count))


def cartpole_follow(state: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, x', theta, theta' after 0.02 s of a push to the left (0) or right (1)."""
    _, x_dot, theta, theta_dot = state
    force = np.where(actions == 1, CartPole.force, -CartPole.force)
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


def pendulum_follow(state: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """theta, theta' after 0.05 s of a torque."""
    (theta, speed), torque = state, actions[:, 0].clip(-2.0, 2.0)
    cost = pendulum_cost(theta, speed, torque)
    speed = (speed + pendulum_acceleration(np.sin(theta), torque) * Pendulum.dt).clip(-Pendulum.max_speed, Pendulum.max_speed)
    return np.array([theta + speed * Pendulum.dt, speed]), -cost.astype(np.float32), np.zeros(len(actions), bool)


def pendulum_observe(state: np.ndarray) -> Float[np.ndarray, "N 3"]:
    """cos theta, sin theta, theta'."""
    theta, speed = state
    return np.stack([np.cos(theta), np.sin(theta), speed], 1).astype(np.float32)


VECTOR_ENVS = {"CartPole-v1": Physics(CartPole, cartpole_start, cartpole_follow, cartpole_observe),
            "Pendulum-v1": Physics(Pendulum, pendulum_start, pendulum_follow, pendulum_observe)}
