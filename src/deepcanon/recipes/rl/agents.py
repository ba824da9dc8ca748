"""Runs of deep agents, in a known environment or the user's own."""

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from deepcanon.data import Env, Source, open_data
from deepcanon.data.experience import Experience, after, anneal
from deepcanon.data.rollouts import Rollouts
from deepcanon.data.vector_envs import envs
from deepcanon.engine import Adam, Run, Until, at_least, fit, linear, preset, recipe
from deepcanon.nets.perceptron import mlp
from deepcanon.rl.critics import Critics
from deepcanon.rl.dqn import DQN, double_value
from deepcanon.rl.evaluate import returns
from deepcanon.rl.policies import categorical, gaussian
from deepcanon.rl.ppo import PPO
from deepcanon.rl.sac import SAC

LONGEST = 2_000                                         # steps of an evaluated episode, in an environment without a time limit


@recipe(paper="Mnih et al. 2015; van Hasselt et al. 2016", systems=["RL-30", "RL-31", "RL-32"], presets=[
    preset("CartPole-v1", until=495.0, target={"return": at_least(475)})])
def dqn(env: Env = "CartPole-v1", *, env_steps: int = 50_000, hidden: int = 120, lr: float = 1e-3, batch: int = 128,
        every: int = 2, evaluate_every: int = 1_250, until: float | None = None, seed: int = 0) -> Run:
    """Double DQN in an environment of discrete actions; the mean return of 20 episodes.

    Args:
        env: a Gymnasium id, module:Class, ./file.py:Class, or an environment object.
        env_steps: steps in the environment.
        hidden: units of the first hidden layer; the second has seven tenths of it.
        every: environment steps for one training step.
        evaluate_every: training steps between evaluations.
        until: mean return of 50 practice episodes at which the run ends early.
    """
    source = opened(env, discrete=True)
    method = DQN(mlp(observed(source), hidden, round(0.7 * hidden), source.num_actions), value=double_value, tau=0.01, every=1)
    warmup = min(1_000, env_steps // 10)
    replay = data_of(source, lambda: Experience(source.train(), method, capacity=env_steps, batch=batch, warmup=warmup, every=every,
                                                epsilon=anneal(1.0, 0.04, max(1, env_steps // 5)), seed=seed))

    test = apart(source)

    def practice(method: DQN) -> dict[str, float]:
        return {"practice": returns(method, test(), episodes=50, seed=1_000 + seed).mean()}

    goal = [] if until is None else [Until("practice", at_least(until))]
    return fit(method, replay, Adam(lr, schedule=linear()), steps=(env_steps - warmup) // every, seed=seed,
               evaluate=[practice, played(test, seed)] if goal else played(test, seed), evaluate_every=evaluate_every, callbacks=goal)


@recipe(paper="Schulman et al. 2017, arXiv 1707.06347", systems=["RL-22"], presets=[
    preset("CartPole-v1", target={"return": at_least(475)})])
def ppo(env: Env = "CartPole-v1", *, env_steps: int = 100_000, num_envs: int = 8, horizon: int = 32, epochs: int = 20,
        width: int = 64, gamma: float = 0.98, lam: float = 0.8, lr: float = 1e-3, seed: int = 0) -> Run:
    """PPO in several copies of an environment at once, of discrete or real actions; the mean return of 20 episodes.

    Args:
        env: a Gymnasium id, module:Class, ./file.py:Class, or an environment object.
        env_steps: steps in all copies together.
        num_envs, horizon: copies, steps of each in a rollout.
        epochs: passes over a rollout.
        width: units of each of two hidden layers, of policy and value.
        gamma, lam: discount, weight of longer advantages.
    """
    source = opened(env, discrete=None)
    kind, outputs = (gaussian, 2 * math.prod(source.action_shape)) if source.num_actions is None else (categorical, source.num_actions)
    policy, value = (mlp(observed(source), width, width, out, activation=nn.Tanh) for out in (outputs, 1))
    method = PPO(policy, value, kind=kind, gamma=gamma, lam=lam, epochs=epochs, minibatch=num_envs * horizon)
    rollouts = data_of(source, lambda: Rollouts(envs(source.data, num_envs), method, steps=horizon, seed=seed))
    return fit(method, rollouts, Adam(lr, eps=1e-5, schedule=linear()), steps=max(1, env_steps // (num_envs * horizon)), seed=seed,
               clip_norm=0.5, evaluate=played(apart(source), seed))


@recipe(paper="Haarnoja et al. 2018, arXiv 1801.01290", systems=["RL-30", "RL-31", "RL-33", "RL-34"], presets=[
    preset("Pendulum-v1", target={"return": at_least(-200)})])
def sac(env: Env = "Pendulum-v1", *, env_steps: int = 10_000, width: int = 64, lr: float = 1e-3, batch: int = 128,
        warmup: int = 1_000, seed: int = 0) -> Run:
    """SAC in an environment of bounded real actions; the mean return of 20 episodes.

    Args:
        env: a Gymnasium id, module:Class, ./file.py:Class, or an environment object.
        env_steps: steps in the environment, with a training step for each after the warm-up.
        width: units of each of two hidden layers, of actor and critics.
        warmup: first steps, of random actions, at most half of all.
    """
    source = opened(env, discrete=False)
    method = SAC(mlp(observed(source), width, width, 2 * math.prod(source.action_shape)),
                 Critics(observed(source), math.prod(source.action_shape), width, width), bounds=bounds(source))
    warm = min(warmup, env_steps // 2)
    replay = data_of(source, lambda: Experience(source.train(), method, capacity=env_steps, batch=batch, warmup=warm, epsilon=after(warm),
                                                seed=seed))
    return fit(method, replay, Adam(lr), steps=env_steps - warm, seed=seed, evaluate=played(apart(source), seed))


def opened(env: Any, *, discrete: bool | None) -> Source:
    """The environment of a recipe; a ValueError where its actions are of the other kind."""
    source = open_data(env, "env")
    name, count = source.metadata["name"], source.num_actions
    if discrete and count is None:
        raise ValueError(f"this agent needs discrete actions, {name} has real ones: take ppo or sac")
    if discrete is False and count is not None:
        raise ValueError(f"this agent needs real actions, {name} has {count} discrete ones: take dqn or ppo")
    if len(source.observation_shape) != 1:
        raise ValueError(f"this agent's nets read vectors; the observations of {name} have shape {source.observation_shape}")
    return source


def observed(source: Source) -> int:
    """The numbers of an observation."""
    return math.prod(source.observation_shape)


def bounds(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest action; a ValueError where there are none."""
    low, high = (np.array([none if v is None else v for v in bound], np.float32).reshape(source.action_shape)
                 for none, bound in zip((-math.inf, math.inf), source.bounds))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError(f"this agent needs bounded actions; those of {source.metadata['name']} lie between {low} and {high}")
    return low, high


def data_of(source: Source, make: Callable[[], Any]) -> Any:
    """Experience or rollouts; nothing where a saved agent is built again, which needs no environment."""
    return make() if source.record is None else ()


def apart(source: Source) -> Callable[[], Any]:
    """What opens the environment of an evaluation: of an object a copy, so that the episode in training goes on untouched."""
    limit = {} if source.metadata.get("step_limit") else {"max_episode_steps": LONGEST}
    if limit and source.record is None:
        warnings.warn(f"{source.metadata['name']} has no time limit: an episode of the evaluation ends after {LONGEST:,} steps", stacklevel=3)
    if isinstance(source.data, str | type) or not hasattr(source.data, "step"):
        return lambda: source.train(**limit)
    try:
        own = copy.deepcopy(source.train(**limit))
    except Exception as error:                          # whatever its own __deepcopy__ raises
        raise ValueError(f"{source.metadata['name']} cannot be copied for its evaluation ({type(error).__name__}): "
                         "pass its class or a function that makes one") from error
    return lambda: own


def played(test: Callable[[], Any], seed: int) -> Callable[[Any], dict[str, float]]:
    """An evaluation: the mean return of 20 episodes."""
    return lambda method: {"return": returns(method, test(), episodes=20, seed=10_000 + seed).mean()}
