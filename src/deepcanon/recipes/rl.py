"""Runs of reinforcement learning."""

from deepcanon.data.envs import env
from deepcanon.data.experience import Experience, anneal
from deepcanon.engine import Adam, Run, Until, at_least, fit, linear, recipe
from deepcanon.nets.mlp import mlp
from deepcanon.rl.dqn import DQN, double_value
from deepcanon.rl.evaluate import returns


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
