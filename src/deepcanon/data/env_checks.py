"""What an environment is, and the checks on what passes between it and an agent.

    o_0 = reset(),    (o_{t+1}, r_t, terminated, truncated) = step(a_t)

Terminated: the episode ended, nothing follows (the value of what follows is 0). Truncated: it was cut, by a
time limit for instance, and the last observation still has a value.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np

Step = tuple[np.ndarray, float, bool, bool]  # observation, reward, terminated, truncated

FLOAT32_MAX = float(np.finfo(np.float32).max)


@runtime_checkable
class Environment(Protocol):
    """What agents and `Experience` need of an environment; any class with these members will do.

    Actions are the numbers 0 .. num_actions - 1, or, where `num_actions` is None, real vectors of shape
    `action_shape`; their least and greatest values may be given as `bounds`, a pair of arrays.
    `load_state_dict` leaves the environment where `state_dict` found it, or starts a new episode and returns
    its first observation.
    """

    observation_shape: tuple[int, ...]
    action_shape: tuple[int, ...]
    num_actions: int | None

    def reset(self, seed: int | None = None) -> np.ndarray: ...
    def step(self, action: Any) -> Step: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> np.ndarray | None: ...


class CheckedEnv:
    """An environment of the user's own with every value checked: observations are copied into float32 arrays,
    actions clipped to `bounds`.

    Args:
        env: any object with the members of `Environment`.
        name: for messages; None is the name of its class.
        max_episode_steps: longer episodes are truncated; None leaves their length to the environment.

    Raises:
        ValueError: shapes or a number of actions that make no sense; later, values that are not what was
            declared, with the step.
    """

    def __init__(self, env: Environment, name: str | None = None, max_episode_steps: int | None = None):
        self.env: Any = env
        self.name, self.step_limit = name or type(env).__name__, check_limit(max_episode_steps)
        if self.step_limit is None:
            self.step_limit = getattr(env, "step_limit", None)
        self.max_episode_steps, self.clock = max_episode_steps, 0
        self.observation_shape, self.action_shape = tuple(env.observation_shape), tuple(env.action_shape)
        self.num_actions = None if env.num_actions is None else int(env.num_actions)
        if not self.action_shape if self.num_actions is None else self.num_actions < 1:
            raise ValueError(
                f"environment {self.name!r}: expected num_actions of 1 or more, or None and an action_shape; "
                f"got {env.num_actions} and {self.action_shape}"
            )
        if self.num_actions is None:
            bounds = getattr(env, "bounds", (-np.inf, np.inf))
            self.bounds = tuple(np.broadcast_to(np.asarray(b, np.float32), self.action_shape) for b in bounds)

    def reset(self, seed: int | None = None) -> np.ndarray:
        self.clock = 0
        return named(self, as_observation, asked(self, self.env.reset, seed=seed), self.observation_shape)

    def step(self, action: Any) -> Step:
        self.clock += 1
        result = asked(self, self.env.step, named(self, self.decode, action))
        observation, reward, terminated, truncated = named(self, as_step, result, self.observe)
        return observation, reward, terminated, truncated or self.clock == self.max_episode_steps

    def decode(self, action: Any) -> Any:
        """The action as the environment gets it: a number, or a copy of the vector within the bounds."""
        if self.num_actions is not None:
            return as_number(action, self.num_actions)
        return as_vector(action, self.action_shape, np.dtype(np.float32), *self.bounds)

    def observe(self, observation: Any) -> np.ndarray:
        return as_observation(observation, self.observation_shape)

    def state_dict(self) -> dict[str, Any]:
        return {"env": self.env.state_dict(), "clock": self.clock}

    def load_state_dict(self, state: dict[str, Any]) -> np.ndarray | None:
        first, self.clock = self.env.load_state_dict(state["env"]), state["clock"]
        if first is None:
            return None
        self.clock = 0
        return named(self, self.observe, first)

    def close(self) -> None:
        if hasattr(self.env, "close"):
            self.env.close()


def named(env: Any, check: Any, *values: Any) -> Any:
    """What `check(*values)` returns; a ValueError of it gets the environment's name and the step."""
    try:
        return check(*values)
    except ValueError as error:
        raise ValueError(
            f"environment {env.name!r}, {f'step {env.clock}' if env.clock else 'reset'}: {error}"
        ) from None


def asked(env: Any, method: Any, *values: Any, **how: Any) -> Any:
    """What a method of the user's own environment returns.

    Raises:
        ValueError: whatever it raised, on one line, with the environment's name and the step.
    """
    try:
        return method(*values, **how)
    except Exception as error:
        raise ValueError(f"environment {env.name!r}, {f'step {env.clock}' if env.clock else 'reset'}: its "
                         f"{method.__name__}() raised {raised(error)}") from error


def raised(error: Exception) -> str:
    """An exception of other people's code on one line: its type and what it says."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def as_step(result: Any, observe: Any) -> Step:
    """Observation, reward, terminated and truncated of what `step` returned; a fifth, info, is not used."""
    if not isinstance(result, tuple | list) or len(result) not in (4, 5):
        raise ValueError(
            f"expected step() to return (observation, reward, terminated, truncated), got {shown(result)}"
        )
    observation, reward, terminated, truncated, *_ = result
    return (
        observe(observation),
        as_reward(reward),
        as_flag(terminated, "terminated"),
        as_flag(truncated, "truncated"),
    )


def as_observation(value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A float32 copy. A single number may come in any shape of one element.

    Raises:
        ValueError: another shape, no numbers, or values that are nan or inf (in float32).
    """
    array = as_array(value)
    if array is None or (array.shape != shape and not array.size == 1 == np.prod(shape)):
        raise ValueError(f"expected an observation of shape {shape}, got {shown(value)}")
    with np.errstate(over="ignore"):
        copied = array.astype(np.float32).reshape(shape)
    if not np.isfinite(copied).all():
        raise ValueError(
            f"expected a finite observation, got {int((~np.isfinite(copied)).sum())} of {copied.size} "
            "values nan or inf"
        )
    return copied


def as_reward(value: Any) -> float:
    """The reward as a number; numpy scalars and arrays of one element are numbers."""
    array = as_array(value)
    if array is None or array.size != 1:
        raise ValueError(f"expected a reward that is one number, got {shown(value)}")
    reward = float(array.reshape(()))
    if not abs(reward) <= FLOAT32_MAX:
        raise ValueError(f"expected a finite reward, got {reward}")
    return reward


def as_flag(value: Any, name: str) -> bool:
    """True or False, of a bool, 0, 1, or an array of one of them."""
    array = as_array(value)
    if array is None or array.size != 1 or array.dtype.kind not in "biu" or array.reshape(()) not in (0, 1):
        raise ValueError(f"expected {name} to be True or False, got {shown(value)}")
    return bool(array.reshape(()))


def as_number(action: Any, num_actions: int) -> int:
    """The number of a discrete action."""
    array = as_array(action)
    if (
        array is None
        or array.size != 1
        or array.dtype.kind not in "iu"
        or not 0 <= array.reshape(()) < num_actions
    ):
        raise ValueError(f"expected an action in 0..{num_actions - 1}, got {shown(action)}")
    return int(array.reshape(()))


def as_vector(
    action: Any, shape: tuple[int, ...], dtype: np.dtype, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """A copy of a real action in the environment's type, clipped to its bounds; rounded for integer types."""
    array = as_array(action)
    if array is None or array.size != np.prod(shape) or np.isnan(array).any():
        raise ValueError(f"expected an action of shape {shape} without nan, got {shown(action)}")
    whole = dtype.kind in "iu"
    array = array.astype(np.float64 if whole else dtype).reshape(shape)
    array = np.minimum(np.maximum(np.rint(array) if whole else array, low), high)
    return array.astype(dtype)


def as_array(value: Any) -> np.ndarray | None:
    """The value as an array of numbers, or None if it cannot be one."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        return None
    return array if array.dtype.kind in "biuf" else None


def shown(value: Any) -> str:
    """A value in a message: short ones in full, arrays by shape and type, tuples by their length."""
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    array = as_array(value)
    if array is not None and array.size > 4:
        return f"shape {array.shape} of {array.dtype}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{type(value).__name__} {text[:50]}..."


def check_limit(steps: int | None) -> int | None:
    """A time limit: None or 1 or more."""
    if steps is not None and steps < 1:
        raise ValueError(f"expected max_episode_steps of 1 or more, got {steps}")
    return steps


def check_action(env: Any, action: Any, *, count: tuple[int, ...] = ()) -> None:
    """Check an agent's action against the environment's; `count` precedes the shape where several act.

    Raises:
        ValueError: another shape, or real numbers instead of integers or the other way round.
    """
    action = np.asarray(action)
    expected, discrete = (*count, *env.action_shape), env.num_actions is not None
    if action.shape != expected or action.dtype.kind not in ("iu" if discrete else "f"):
        kind = f"integers below {env.num_actions}" if discrete else "real numbers"
        raise ValueError(
            f"expected actions of shape {expected}, {kind}; the agent's have shape {action.shape} and "
            f"type {action.dtype}"
        )
