"""Chains side by side, beside the same chains one at a time: steps of all chains a second.

    python benchmarks/mcmc.py [--rounds 5] [--chains 64] [--steps 100]

Random walks, MALA, Langevin dynamics and Gibbs sampling on a correlated Gaussian of ten dimensions. The same functions run both forms, with one start
for each chain: what is measured is that a step of all chains costs about as many calls as a step of one.
"""

import argparse
from collections.abc import Callable

import torch
from record import entries, in_turns, rates, record
from torch import Tensor

from deepcanon.energy.gibbs_sampling import gaussian, gibbs
from deepcanon.energy.langevin_dynamics import langevin
from deepcanon.energy.mcmc import mala, metropolis_hastings, random_walk

DIM, TARGET = 10, 10.0
TOGETHER, ALONE = "{}: side by side", "{}: one at a time"


def samplers(steps: int) -> dict[str, Callable[[Tensor], object]]:
    """Functions of the chains' starts (B, DIM)."""
    precision = torch.eye(DIM) + 0.5 * torch.ones(DIM, DIM)

    def energy(x: Tensor) -> Tensor:
        return (x @ precision * x).sum(1) / 2

    conditional = gaussian(torch.zeros(DIM), precision)
    return {
        "random walk": lambda x: metropolis_hastings(energy, x, propose=random_walk(0.5), steps=steps),
        "MALA": lambda x: mala(energy, x, steps=steps, step_size=0.2),
        "Langevin": lambda x: langevin(energy, x, steps=steps, step_size=0.05),
        "Gibbs": lambda x: gibbs(conditional, x, sweeps=max(1, steps // DIM)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chains", type=int, default=64)
    parser.add_argument("--steps", type=int, default=100, help="steps a turn; Gibbs sweeps a tenth of them")
    args = parser.parse_args()
    torch.manual_seed(0)
    x, rate, targets = torch.randn(args.chains, DIM), {}, []
    for name, sample in samplers(args.steps).items():
        together, alone = TOGETHER.format(name), ALONE.format(name)
        turns = {together: lambda sample=sample: sample(x), alone: lambda sample=sample: [sample(start) for start in x.split(1)]}
        rate |= rates(in_turns(turns, args.rounds), args.chains * args.steps)
        targets.append((name, together, alone, TARGET))
    record("mcmc", f"{args.chains} chains", "steps/s", entries(rate, targets), rounds=args.rounds, steps_a_turn=args.steps, dimensions=DIM)


if __name__ == "__main__":
    main()
