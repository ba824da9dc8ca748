"""DQN on CartPole-v1 beside CleanRL's dqn.py: environment steps a second, and returns, of whole runs in alternation.

Both: net 4-120-84-2, Adam 2.5e-4, squared error, batch 128 every 10th step after 1,000, buffer of 10,000, target copied every 500 steps,
epsilon from 1 to 0.05 in half of the 20,000 steps. CleanRL's speed is its own count (imports excluded), as ours is.

    CLEANRL=cleanrl python benchmarks/dqn.py      # `agents` says where it comes from
"""

import statistics
import time

import torch
from agents import cleanrl, compete

STEPS = 20_000
TARGETS = [("environment steps", "ours", "CleanRL", 2.0)]


def ours(seed: int) -> dict[str, float]:
    """One run through `fit`."""
    import torch.nn.functional as F

    from deepcanon.data.environments import env
    from deepcanon.data.experience import Experience, anneal
    from deepcanon.engine import Adam, fit, options
    from deepcanon.nets.perceptron import mlp
    from deepcanon.rl.dqn import DQN

    torch.manual_seed(seed)
    method = DQN(mlp(4, 120, 84, 2), regression=F.mse_loss, every=50)
    data = Experience(env("CartPole-v1"), method, capacity=10_000, warmup=1_000, every=10, epsilon=anneal(1.0, 0.05, STEPS // 2), seed=seed)
    start = time.perf_counter()
    with options(quiet=True):
        fit(method, data, Adam(2.5e-4), steps=(STEPS - 1_000) // 10 + 1, seed=seed)
    return {"speed": data.env_steps / (time.perf_counter() - start), "return": statistics.mean(data.returns[-20:])}


if __name__ == "__main__":
    peer = cleanrl("dqn.py", f"--total-timesteps={STEPS}", "--learning-starts=1000", last=20)
    compete("dqn", f"DQN on CartPole-v1, {STEPS:,} steps", {"ours": ours, "CleanRL": peer}, TARGETS, last=20, needs=["CLEANRL"])
