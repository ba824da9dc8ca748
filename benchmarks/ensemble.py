"""An ensemble of ten perceptrons trained together, beside ten runs one after another: training steps of the whole ensemble a second.

    python benchmarks/ensemble.py [--rounds 5] [--steps 30]

The ten runs are the engine's, each with its own optimizer and log; an ensemble is one run of it. Side by side: one batched product a layer.
One by one: the nets in turn, one optimizer for all. vmapped: `torch.func.vmap` of one net over stacked parameters. All see the same batches, and what
the members learn is the same (the last losses are in the record). How much is gained depends on the size of a net: the smaller it is, the
more of its time goes into calls. Convolutions (LeNet, for which there is no form side by side) gain less.
"""

import argparse
import copy
from collections.abc import Callable

import torch
from record import entry, in_turns, rates, record
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from deepcanon.engine import Adam
from deepcanon.engine.loop import Trainer
from deepcanon.foundations.ensembles import Ensemble
from deepcanon.nets.lenet import LeNet
from deepcanon.nets.members import OneByOne, StackedMLPs
from deepcanon.nets.perceptron import mlp
from deepcanon.vision.classify import Classifier

MEMBERS, LR = 10, 1e-3
ALONE = "ten runs, one after another"
SIZES = {                                                # input widths, batch, target
    "64-32-10, batch 32": ((64, 32, 10), 32, 3.0),
    "64-128-10, batch 64": ((64, 128, 10), 64, 3.0),
    "784-32-10, batch 32": ((784, 32, 10), 32, 3.0),
    "784-128-10, batch 64": ((784, 128, 10), 64, 3.0),
}


class Vmapped(nn.Module):
    """Members by `torch.func`: one net, called with stacked parameters."""

    def __init__(self, nets: list[nn.Module]):
        super().__init__()
        self.form, self.num_members = [copy.deepcopy(nets[0])], len(nets)
        stacked, _ = stack_module_state(nets)
        self.names = list(stacked)
        self.stacked = nn.ParameterList(stacked.values())

    def forward(self, x: Tensor) -> Tensor:
        parameters = dict(zip(self.names, self.stacked, strict=True))
        return vmap(lambda p, part: functional_call(self.form[0], p, (part,)))(parameters, x)


def one_run(trainer: Trainer, x: Tensor, y: Tensor, steps: int) -> Callable[[], None]:
    """A turn: some steps of a run on batches (x, y)."""

    def turn() -> None:
        for step in range(steps):
            trainer.train_step((x[step % len(x)], y[step % len(y)]))
            trainer.log.step(trainer.step)

    return turn


def contenders(build: Callable[[], nn.Module], x: Tensor, y: Tensor, steps: int, kinds: dict[str, Callable]):
    """Turns by name, and the trainers to read the last losses from; x (S, M, B, ...), y (S, M, B)."""
    nets = [build() for _ in range(MEMBERS)]
    trainers = {name: [Trainer(Ensemble(kind(copy.deepcopy(nets))), None, Adam(LR))] for name, kind in kinds.items()}
    turns: dict[str, Callable[[], object]] = {name: one_run(only, x, y, steps) for name, (only,) in trainers.items()}
    trainers[ALONE] = [Trainer(Classifier(net), None, Adam(LR)) for net in nets]
    alone = [one_run(trainer, x[:, j], y[:, j], steps) for j, trainer in enumerate(trainers[ALONE])]
    turns[ALONE] = lambda: [turn() for turn in alone]
    return turns, trainers


def last_loss(trainers: list[Trainer]) -> float:
    """The sum over members of the last logged loss."""
    return round(sum(trainer.log.history[-1]["loss"] for trainer in trainers), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30, help="steps a turn")
    args = parser.parse_args()
    torch.manual_seed(0)
    entries, losses = [], {}
    kinds = {"side_by_side": StackedMLPs, "one_by_one": OneByOne, "vmapped": Vmapped}
    for what, (dims, batch, target) in SIZES.items():
        x, y = torch.rand(10, MEMBERS, batch, dims[0]), torch.randint(10, (10, MEMBERS, batch))
        turns, trainers = contenders(lambda dims=dims: mlp(*dims), x, y, args.steps, kinds)
        rate = rates(in_turns(turns, args.rounds), args.steps)
        entries += [entry(f"{what}, {name.replace('_', ' ')}", rate, name, ALONE, target if name == "side_by_side" else None) for name in kinds]
        losses[what] = {name: last_loss(each) for name, each in trainers.items()}
    x, y = torch.rand(2, MEMBERS, 32, 1, 28, 28), torch.randint(10, (2, MEMBERS, 32))
    turns, trainers = contenders(LeNet, x, y, 2, {"one_by_one": OneByOne, "vmapped": Vmapped})
    rate = rates(in_turns(turns, args.rounds), 2)
    entries += [entry(f"LeNet, batch 32, {name.replace('_', ' ')}", rate, name, ALONE) for name in ("one_by_one", "vmapped")]
    record("ensemble", "ten nets trained", "steps/s", entries, rounds=args.rounds, steps_a_turn=args.steps, last_losses=losses)


if __name__ == "__main__":
    main()
