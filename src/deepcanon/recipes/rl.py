"""Runs of reinforcement learning."""

from torch import nn

from deepcanon.data.envs import action_bounds, env
from deepcanon.data.experience import Experience, after, anneal
from deepcanon.data.rollouts import Rollouts
from deepcanon.data.vector_envs import envs
from deepcanon.engine import Adam, Run, Until, at_least, fit, linear, recipe
from deepcanon.nets.mlp import mlp
from deepcanon.rl.critics import Critics
from deepcanon.rl.dqn import DQN, double_value
from deepcanon.rl.evaluate import returns
from deepcanon.rl.ppo import PPO
from deepcanon.rl.sac import SAC


@recipe(target={"return": at_least(475)}, paper="Mnih et al. 2015", rows=["RL-30", "RL-31", "RL-32"])
def dqn_cartpole(env_steps: int = 50_000, lr: float = 1e-3, batch: int = 128, every: int = 2, evaluate_every: int = 1_250, seed: int = 0) -> Run:
    """Double DQN balances a pole, until 50 practice episodes are all but perfect or 50,000 steps are over; the mean return of 20 others."""
    method = DQN(mlp(4, 120, 84, 2), value=double_value, tau=0.01, every=1)
    world = Experience(env("CartPole-v1"), method, capacity=env_steps, batch=batch, warmup=1_000, every=every,
                       epsilon=anneal(1.0, 0.04, env_steps // 5), seed=seed)

    def play(method: DQN) -> dict[str, float]:
        practice = returns(method, env("CartPole-v1"), episodes=50, seed=1_000 + seed)
        return {"practice": practice.mean(), "return": returns(method, env("CartPole-v1"), episodes=20, seed=10_000 + seed).mean()}

    return fit(method, world, Adam(lr, schedule=linear()), steps=(env_steps - 1_000) // every, seed=seed, evaluate=play,
               evaluate_every=evaluate_every, callbacks=[Until("practice", at_least(495))])


@recipe(target={"return": at_least(475)}, paper="Schulman et al. 2017, arXiv 1707.06347", rows=["RL-22"])
def ppo_cartpole(env_steps: int = 100_000, lr: float = 1e-3, worlds: int = 8, horizon: int = 32, epochs: int = 20, seed: int = 0) -> Run:
    """PPO balances a pole in eight worlds at once, 100,000 steps in all; the mean return of 20 other episodes."""
    method = PPO(mlp(4, 64, 64, 2, activation=nn.Tanh), mlp(4, 64, 64, 1, activation=nn.Tanh), gamma=0.98, lam=0.8, epochs=epochs,
                 minibatch=worlds * horizon)
    rollouts = Rollouts(envs("CartPole-v1", worlds), method, steps=horizon, seed=seed)

    def play(method: PPO) -> dict[str, float]:
        return {"return": returns(method, env("CartPole-v1"), episodes=20, seed=10_000 + seed).mean()}

    return fit(method, rollouts, Adam(lr, eps=1e-5, schedule=linear()), steps=env_steps // (worlds * horizon), seed=seed, clip_norm=0.5,
               evaluate=play)


@recipe(target={"return": at_least(-200)}, paper="Haarnoja et al. 2018, arXiv 1801.01290", rows=["RL-30", "RL-31", "RL-33", "RL-34"])
def sac_pendulum(env_steps: int = 10_000, lr: float = 1e-3, width: int = 64, batch: int = 128, warmup: int = 1_000, seed: int = 0) -> Run:
    """SAC swings a pendulum up and holds it, after 10,000 steps; the mean return of 20 episodes (0 is perfect, doing nothing about -1,200)."""
    world = env("Pendulum-v1")
    method = SAC(mlp(3, width, width, 2), Critics(3, 1, width, width), bounds=action_bounds(world))
    replay = Experience(world, method, capacity=env_steps, batch=batch, warmup=warmup, epsilon=after(warmup), seed=seed)

    def play(method: SAC) -> dict[str, float]:
        return {"return": returns(method, env("Pendulum-v1"), episodes=20, seed=10_000 + seed).mean()}

    return fit(method, replay, Adam(lr), steps=env_steps - warmup, seed=seed, evaluate=play)
