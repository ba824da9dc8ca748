"""Environments: "CartPole-v1" and "Pendulum-v1" are built in; others are Gymnasium's or the user's own.

    env("CartPole-v1")    env("Acrobot-v1")    env("my_envs:Maze", size=5)    env("./maze.py:Maze")

An environment of others is tried when it is opened, one reset and two steps, so that a fault in it is found
before training.
"""

import contextlib
import copy
import math
from pathlib import Path
from typing import Any

import numpy as np

from deepcanon.data.env_checks import CheckedEnv, Environment, Step, check_action
from deepcanon.data.env_classic import CartPole, Pendulum
from deepcanon.data.env_sources import create, is_gymnasium

__all__ = [
    "CartPole",
    "CheckedEnv",
    "Environment",
    "Pendulum",
    "Step",
    "action_bounds",
    "check_action",
    "check_env",
    "describe_env",
    "env",
    "env_metadata",
]

BUILT_IN = {"CartPole-v1": CartPole, "Pendulum-v1": Pendulum}


def env(source: Any, *, max_episode_steps: int | None = None, **options: Any) -> Environment:
    """An environment.

    What Gymnasium's spaces declare is honoured: observations are copied into float32 arrays (one-hot where
    they are discrete, flattened where they are nested; pixels keep 0..255), actions are numbered from 0 or
    are real vectors, which are clipped to their bounds, and rounded where the space holds integers.
    `describe_env` says what is done in each case.

    Args:
        source: "CartPole-v1" or "Pendulum-v1", built in; a Gymnasium id; "module:Class" or "module:function";
            "./file.py:Class"; a `gymnasium.Env`, or an object with the members of `Environment`; a class or
            function that makes one.
        max_episode_steps: longer episodes are truncated; None leaves their length to the environment.
        options: arguments of the class, the function, or `gymnasium.make`.

    Raises:
        ModuleNotFoundError: the name needs Gymnasium, which is not installed.
        ValueError: no environment, spaces that are not supported, or a first episode that is not what they
            declare.
    """
    made = untried(source, max_episode_steps, options)
    check_env(made)
    return made


def untried(source: Any, max_episode_steps: int | None, options: dict[str, Any]) -> Any:
    """The environment of a source, with its values checked, but not yet tried."""
    if isinstance(source, str) and source in BUILT_IN and not options and max_episode_steps is None:
        return BUILT_IN[source]()
    found = create(source, options)
    if is_own(found) and max_episode_steps is None:
        return found
    name = source if isinstance(source, str) else None
    if not is_gymnasium(found):
        return CheckedEnv(found, name, max_episode_steps)
    from deepcanon.data.env_gymnasium import Gymnasium

    return Gymnasium(found, name, max_episode_steps)


def is_own(env: Any) -> bool:
    """Whether an environment is one of this library's, whose values need no check."""
    return (
        type(env) in (CartPole, Pendulum, CheckedEnv)
        or type(env).__module__ == "deepcanon.data.env_gymnasium"
    )


def check_env(env: Any) -> None:
    """Try an environment that is not built in: one reset and two steps, of a copy if it can be copied.

    Raises:
        ValueError: values that are not what the environment declares.
    """
    if isinstance(env, CartPole | Pendulum):
        return
    trial = env
    with contextlib.suppress(Exception):                               # whatever its own __deepcopy__ raises
        trial = copy.deepcopy(env)
    trial.reset(seed=0)
    for action in trial_actions(env):
        _, _, terminated, truncated = trial.step(action)
        if terminated or truncated:
            trial.reset()


def trial_actions(env: Any) -> list[Any]:
    """The first and the last action; of real actions, their bounds, or -1 and 1 where there are none."""
    if env.num_actions is not None:
        return [0, env.num_actions - 1]
    low, high = (
        np.broadcast_to(np.asarray(bound, np.float32), env.action_shape)
        for bound in getattr(env, "bounds", (-1.0, 1.0))
    )
    return [
        np.where(np.isfinite(low), low, -1).astype(np.float32),
        np.where(np.isfinite(high), high, 1).astype(np.float32),
    ]


def action_bounds(env: Any) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest action of an environment of real actions, each of shape `action_shape`,
    float32.

    Raises:
        ValueError: the actions are discrete, or have no bounds.
    """
    if env.num_actions is not None:
        raise ValueError(
            f"expected an environment of real actions, {name_of(env)} has {env.num_actions} discrete ones"
        )
    bounds = getattr(env, "bounds", (-np.inf, np.inf))
    low, high = (
        np.array(np.broadcast_to(np.asarray(bound, np.float32), env.action_shape)) for bound in bounds
    )
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError(
            f"expected an environment of bounded actions, those of {name_of(env)} lie between {low} and "
            f"{high}"
        )
    return low, high


def name_of(env: Any) -> str:
    """What messages and records call an environment."""
    return getattr(env, "name", type(env).__name__)


def env_metadata(env: Any) -> dict[str, Any]:
    """What an agent's nets are built from, in JSON's types: a saved agent is built again without the
    environment.

    Returns:
        name, observation_shape, num_actions (null for real actions), action_shape, bounds (null for discrete
        actions, else the lists of the least and the greatest values, each null where there is no bound),
        step_limit (null if there is none).
    """
    bounds = None
    if env.num_actions is None:
        low, high = (
            np.broadcast_to(bound, env.action_shape) for bound in getattr(env, "bounds", (-np.inf, np.inf))
        )
        bounds = [[float(v) if math.isfinite(v) else None for v in bound.flat] for bound in (low, high)]
    return {
        "name": name_of(env),
        "observation_shape": list(map(int, env.observation_shape)),
        "num_actions": env.num_actions,
        "action_shape": list(map(int, env.action_shape)),
        "bounds": bounds,
        "step_limit": getattr(env, "step_limit", None),
    }


def describe_env(source: Any, **options: Any) -> dict[str, Any]:
    """What `env(source, **options)` would be: its metadata, its spaces, and what is done to observations and
    actions, in JSON's types.

    Raises:
        ModuleNotFoundError: as `env`.
        ValueError: as `env`.
    """
    made: Any = env(source, **options)
    described = {"kind": "env"} | env_metadata(made)
    described["action_kind"] = "real" if made.num_actions is None else "discrete"
    exact = "in the middle of an episode"
    if hasattr(made, "observations"):
        exact = exact if made.state_dict()["layers"] else "with a new episode"
        described |= {
            "observation_space": str(made.env.observation_space),
            "action_space": str(made.env.action_space),
            "observations": made.observations.note,
            "actions": made.actions.note,
        }
    else:
        described |= {
            "observations": "float32",
            "actions": "clipped to the bounds" if made.num_actions is None else f"0..{made.num_actions - 1}",
        }
    described["resumes"] = exact
    if isinstance(source, str | Path) or callable(source):
        close(made)
    return described


def close(env: Any) -> None:
    """Close an environment that can be closed."""
    if hasattr(env, "close"):
        env.close()
