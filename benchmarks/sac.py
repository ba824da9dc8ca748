"""SAC on Pendulum-v1 beside CleanRL's sac_continuous_action.py: environment steps a second, and returns, of whole runs in alternation.

Both: actor 3-256-256-2, two critics 4-256-256-1, batch 256 and one update of everything each step after 1,000, Adam 1e-3 (actor 3e-4),
gamma 0.99, targets moved by 0.005. CleanRL's speed is its own count (imports excluded), as ours is; it makes its actor's updates by twos.

    CLEANRL=cleanrl python benchmarks/sac.py      # `agents` says where it comes from
"""

import statistics
import time

import torch
from agents import cleanrl, compete

STEPS = 5_000
TARGETS = [("environment steps", "ours", "CleanRL", 1.25)]


def ours(seed: int) -> dict[str, float]:
    """One run through `fit`."""
    from deepcanon.data.environments import action_bounds, env
    from deepcanon.data.experience import Experience, after
    from deepcanon.engine import Adam, fit, options
    from deepcanon.nets.perceptron import mlp
    from deepcanon.rl.critics import Critics
    from deepcanon.rl.sac import SAC

    torch.manual_seed(seed)
    environment = env("Pendulum-v1")
    method = SAC(mlp(3, 256, 256, 2), Critics(3, 1, 256, 256), bounds=action_bounds(environment))
    data = Experience(environment, method, capacity=STEPS, batch=256, warmup=1_000, epsilon=after(1_000), seed=seed)
    start = time.perf_counter()
    with options(quiet=True):
        fit(method, data, {"critic": Adam(1e-3), "actor": Adam(3e-4), "log_alpha": Adam(1e-3)}, steps=STEPS - 1_000, seed=seed)
    return {"speed": data.env_steps / (time.perf_counter() - start), "return": statistics.mean(data.returns[-5:])}


if __name__ == "__main__":
    peer = cleanrl("sac_continuous_action.py", "--env-id=Pendulum-v1", f"--total-timesteps={STEPS}", "--learning-starts=1000", last=5)
    compete("sac", f"SAC on Pendulum-v1, {STEPS:,} steps", {"ours": ours, "CleanRL": peer}, TARGETS, last=5, needs=["CLEANRL"])
