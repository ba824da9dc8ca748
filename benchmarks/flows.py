"""Flows beside zuko, nflows and normflows: training steps and samples a second, and the held-out likelihood that equal training reaches.

    pip install zuko nflows normflows && python benchmarks/flows.py [--rounds 5] [--steps 100] [--parity-steps 600]

Five layers, nets of two hidden layers of 128, 64 dimensions (MNIST at 8x8, dequantised, standardised), batch 256, Adam. The contenders take turns
on the same batches. Of masked autoregressive flows normflows has the slow direction in training (3 steps a second) and is left out. `ours_compiled`
has its transform compiled. Then the autoregressive flows of all are trained anew on the same batches over three seeds and compared on the test split.
"""

import argparse
import math
import statistics
from collections.abc import Callable

import normflows
import torch
import zuko
from nflows.distributions.normal import StandardNormal
from nflows.flows.autoregressive import MaskedAutoregressiveFlow
from nflows.flows.base import Flow as NFlow
from nflows.nn.nets import MLP
from nflows.transforms import AffineCouplingTransform, CompositeTransform
from record import entries, in_turns, rates, record, trains
from torch import Tensor, nn

from deepcanon.data import images
from deepcanon.engine import Adam
from deepcanon.engine.loop import Trainer, compile_nets
from deepcanon.flows.flow import Flow
from deepcanon.flows.maf_flow import maf
from deepcanon.flows.realnvp_flow import realnvp

LR, BATCH, DIM, LAYERS, HIDDEN = 1e-3, 256, 64, 5, (128, 128)
TRAINING = [("MAF training", "maf_ours", "maf_zuko", 1.25), ("MAF training, compiled", "maf_ours_compiled", "maf_zuko", 1.6),
            ("MAF training", "maf_ours", "maf_nflows", None), ("coupling training", "coupling_ours", "coupling_zuko", 1.2),
            ("coupling training", "coupling_ours", "coupling_nflows", 1.2), ("coupling training", "coupling_ours", "coupling_normflows", 1.2),
            ("coupling training, compiled", "coupling_ours_compiled", "coupling_normflows", None)]
SAMPLING = [("MAF sampling", "maf_ours", "maf_zuko", 6.0), ("MAF sampling", "maf_ours", "maf_nflows", None)]
Step = Callable[[Tensor], Tensor | float]
Density = Callable[[Tensor], Tensor]


class Perceptron(MLP):
    """nflows' own, which its couplings call with a context."""

    def forward(self, inputs: Tensor, context: None = None) -> Tensor:
        return super().forward(inputs)


def peer(model: nn.Module, log_prob: Density) -> Step:
    """A training step as one writes it by hand."""
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)

    def step(x: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = -log_prob(x).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def ours(method: Flow, compiled: bool = False) -> Step:
    """The engine's step, log included."""
    if compiled:
        compile_nets(method, ("transform",), torch.device("cpu"))
    trainer = Trainer(method, None, Adam(LR))

    def step(x: Tensor) -> Tensor | float:
        trainer.train_step((x,))
        return trainer.log.pending["loss"][-1][1]

    return step


def mafs() -> dict[str, nn.Module]:
    """The same autoregressive flow of three libraries."""
    return {"zuko": zuko.flows.MAF(DIM, transforms=LAYERS, hidden_features=HIDDEN),
            "nflows": MaskedAutoregressiveFlow(DIM, HIDDEN[0], LAYERS, num_blocks_per_layer=1, use_residual_blocks=False),
            "ours": Flow(maf(DIM, hidden=HIDDEN, num_layers=LAYERS), (DIM,))}


def couplings() -> dict[str, nn.Module]:
    """The same affine couplings of four libraries."""
    mask = torch.ones(DIM)
    mask[::2] = -1
    parts = [AffineCouplingTransform(mask * (-1) ** k, lambda i, o: Perceptron([i], [o], list(HIDDEN))) for k in range(LAYERS)]
    blocks = [block for _ in range(LAYERS) for block in (
        normflows.flows.AffineCouplingBlock(normflows.nets.MLP([DIM // 2, *HIDDEN, DIM])), normflows.flows.Permute(DIM, mode="swap"))]
    return {"zuko": zuko.flows.RealNVP(DIM, transforms=LAYERS, hidden_features=HIDDEN),
            "nflows": NFlow(CompositeTransform(parts), StandardNormal([DIM])),
            "normflows": normflows.NormalizingFlow(normflows.distributions.DiagGaussian(DIM, trainable=False), blocks),
            "ours": Flow(realnvp(DIM, hidden=HIDDEN, num_layers=LAYERS), (DIM,))}


def density(model: nn.Module) -> Density:
    """x -> log p(x), whatever the library."""
    return (lambda x: model().log_prob(x)) if isinstance(model, zuko.lazy.Flow) else model.log_prob


def sampler(model: nn.Module, n: int) -> Callable[[], Tensor]:
    """n samples without gradients."""

    @torch.no_grad()
    def draw() -> Tensor:
        return model().sample((n,)) if isinstance(model, zuko.lazy.Flow) else model.sample(n)

    return draw


def rows(split: str) -> Tensor:
    """MNIST at 8x8 with uniform noise of 1/16 on each pixel, mean 0 and deviation 1 a pixel of the training set, (N, 64)."""

    def noisy(split: str) -> Tensor:
        x = torch.cat([x for x, _ in images("mnist", split=split, size=8, batch=1_000, shuffle=False)]).flatten(1)
        return x + torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) / 16

    train = noisy("train")
    return (noisy(split) - train.mean(0)) / train.std(0)


def contenders() -> dict[str, Step]:
    """Training steps by name."""
    steps: dict[str, Step] = {}
    for kind, make in {"maf": mafs, "coupling": couplings}.items():
        models = make()
        steps |= {f"{kind}_{name}": peer(model, density(model)) for name, model in models.items() if name != "ours"}
        steps |= {f"{kind}_ours": ours(models["ours"]), f"{kind}_ours_compiled": ours(make()["ours"], compiled=True)}
    return steps


def parity(steps: int, seeds: int = 3) -> dict[str, list[float]]:
    """Held-out nats an example of each autoregressive flow after the same steps, one for each seed."""
    train, test = rows("train"), rows("test")
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        torch.manual_seed(seed)
        for name, model in mafs().items():
            step = ours(model) if name == "ours" else peer(model, density(model))
            order = torch.Generator().manual_seed(seed)
            for _ in range(steps):
                step(train[torch.randint(len(train), (BATCH,), generator=order)])
            with torch.no_grad():
                found.setdefault(name, []).append(round(density(model)(test).mean().item(), 3))
    return found


def verdict(found: dict[str, list[float]]) -> str:
    """Ours against the better peer, in its standard errors."""
    best = max((name for name in found if name != "ours"), key=lambda name: statistics.mean(found[name]))
    difference = statistics.mean(found["ours"]) - statistics.mean(found[best])
    error = math.hypot(*(statistics.stdev(found[name]) / len(found[name]) ** 0.5 for name in ("ours", best)))
    return f"held-out log-likelihood: ours - {best} = {difference:+.3f} nats, standard error {error:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help="steps a turn")
    parser.add_argument("--parity-steps", type=int, default=600)
    args = parser.parse_args()
    torch.manual_seed(0)
    batches = [(x,) for x in rows("train").split(BATCH)[:5]]
    losses: dict[str, list] = {}
    turns = {name: trains(step, batches, args.steps, losses.setdefault(name, [])) for name, step in contenders().items()}
    training = rates(in_turns(turns, args.rounds), args.steps)
    found = parity(args.parity_steps)
    work, last = f"{LAYERS} layers, hidden 2 x {HIDDEN[0]}, {DIM} dimensions, batch {BATCH}", {name: values[-1] for name, values in losses.items()}
    record("flows", work, "steps/s", entries(training, TRAINING), packages=("zuko", "nflows", "normflows"), rounds=args.rounds,
           steps_a_turn=args.steps, last_loss={name: round(float(value), 2) for name, value in last.items()},
           held_out_nats=found, parity_steps=args.parity_steps)
    print(verdict(found))
    draws = {f"maf_{name}": sampler(model, BATCH) for name, model in mafs().items()}
    sampling = rates(in_turns(draws, args.rounds), BATCH)
    record("flows_sampling", work, "samples/s", entries(sampling, SAMPLING), packages=("zuko", "nflows"), rounds=args.rounds)


if __name__ == "__main__":
    main()
