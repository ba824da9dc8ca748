"""The built-in environments: the dynamics of Gymnasium's CartPole-v1 and Pendulum-v1 (Towers et al. 2024,
arXiv 2407.17032), to the bit.

Their `state_dict` holds the state, the clock and the random generator: they resume in the middle of an
episode.
"""

import math
from typing import Any

import numpy as np

from deepcanon.data.env_checks import Step


class CartPole:
    """Balance a pole on a cart by pushes of 10 N (Barto, Sutton & Anderson 1983); the dynamics, to the bit,
    of Gymnasium's CartPole-v1.

    Observation (4,): position x (m), velocity, angle theta (rad), angular velocity. Action 0 pushes left, 1
    right. Reward 1 a step. Terminates at |x| > 2.4 or |theta| > 12 degrees, is truncated after 500 steps: the
    best return is 500.
    """

    name = "CartPole-v1"
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
        if action != 0 and action != 1:
            raise ValueError(f"CartPole-v1: expected the action 0 or 1, got {action}")
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
    """Of a cart of 1 kg (m/s^2) and of a pole of 0.1 kg and 1 m on it (rad/s^2), without friction; numbers or
    arrays."""
    gravity, half_length, pole_mass, total_mass = 9.8, 0.5, 0.1, 0.1 + 1.0
    moment = pole_mass * half_length
    push = (force + moment * (theta_dot * theta_dot) * sin) / total_mass
    theta_acc = (gravity * sin - cos * push) / (half_length * (4 / 3 - pole_mass * (cos * cos) / total_mass))
    return push - moment * theta_acc * cos / total_mass, theta_acc


class Pendulum:
    """Swing a pendulum up and hold it, with a torque too weak to lift it at once; the dynamics, to the bit,
    of Gymnasium's Pendulum-v1.

    Observation (3,): cos theta, sin theta, angular velocity. Action (1,): a torque in [-2, 2] N m, what
    exceeds it is clipped. Reward -(theta^2 + 0.1 velocity^2 + 0.001 torque^2) with theta in [-pi, pi) from
    the upright. Truncated after 200 steps, never terminated.
    """

    name = "Pendulum-v1"
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
        speed = min(
            max(speed + pendulum_acceleration(np.sin(theta), torque) * self.dt, -self.max_speed),
            self.max_speed,
        )
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
