"""MAML beside learn2learn, higher and a plain loop: meta-iterations a second, second order.

    pip install higher && git clone https://github.com/learnables/learn2learn
    LEARN2LEARN=learn2learn python benchmarks/maml.py [--rounds 4] [--tasks 16]

Four convolutions of 64 maps on 28x28 images with batch statistics, 5-way 1-shot, 25 queries, 5 inner steps, 16 tasks a meta-iteration, Adam.
The contenders take turns of one meta-iteration on the same tasks from the same weights; the losses of all are written beside the speeds.
learn2learn's package builds extensions that its MAML does not need: the algorithm is imported from a checkout, and left out where there is none.
"""

import argparse
import copy
import importlib
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

import higher
import torch
import torch.nn.functional as F
from record import entries, in_turns, rates, record, trains
from torch import Tensor, nn
from torch.func import functional_call

from deepcanon.data import episodes
from deepcanon.engine import Adam
from deepcanon.engine.loop import Trainer
from deepcanon.meta.maml import MAML
from deepcanon.nets.conv4 import Conv4

LR, INNER_LR, STEPS = 1e-3, 0.1, 5
TARGETS = [("second order", "ours", "learn2learn", 1.0), ("second order", "ours", "higher", 1.0), ("second order", "ours", "plain loop", None)]
Step = Callable[..., Tensor]


def looped(net: nn.Module, query_error: Callable[..., Tensor]) -> Step:
    """A meta-iteration as one writes it by hand: the backward pass of a task, then the next task."""
    optimizer = torch.optim.Adam(net.parameters(), lr=LR)

    def step(*tasks: Tensor) -> Tensor:
        optimizer.zero_grad()
        total = torch.zeros(())
        for task in zip(*tasks):
            error = query_error(*task) / len(tasks[0])
            error.backward()
            total += error.detach()
        optimizer.step()
        return total

    return step


def plain(net: nn.Module) -> Step:
    """torch alone."""

    def query_error(xs: Tensor, ys: Tensor, xq: Tensor, yq: Tensor) -> Tensor:
        fast = dict(net.named_parameters())
        for _ in range(STEPS):
            slopes = torch.autograd.grad(F.cross_entropy(functional_call(net, fast, (xs,)), ys), [*fast.values()], create_graph=True)
            fast = {name: p - INNER_LR * slope for (name, p), slope in zip(fast.items(), slopes)}
        return F.cross_entropy(functional_call(net, fast, (xq,)), yq)

    return looped(net, query_error)


def with_higher(net: nn.Module) -> Step:
    """higher's differentiable SGD on a functional copy of the net."""
    inner = torch.optim.SGD(net.parameters(), lr=INNER_LR)

    def query_error(xs: Tensor, ys: Tensor, xq: Tensor, yq: Tensor) -> Tensor:
        with higher.innerloop_ctx(net, inner, copy_initial_weights=False) as (fast, optimizer):
            for _ in range(STEPS):
                optimizer.step(F.cross_entropy(fast(xs), ys))
            return F.cross_entropy(fast(xq), yq)

    return looped(net, query_error)


def with_learn2learn(net: nn.Module) -> Step:
    """learn2learn's wrapper: clone, adapt."""
    maml = importlib.import_module("learn2learn.algorithms.maml").MAML(net, lr=INNER_LR, first_order=False)

    def query_error(xs: Tensor, ys: Tensor, xq: Tensor, yq: Tensor) -> Tensor:
        learner = maml.clone()
        for _ in range(STEPS):
            learner.adapt(F.cross_entropy(learner(xs), ys))
        return F.cross_entropy(learner(xq), yq)

    return looped(net, query_error)


def ours(net: nn.Module) -> Step:
    """The engine's step, log included."""
    trainer = Trainer(MAML(net, inner_lr=INNER_LR, steps=STEPS), None, Adam(LR))

    def step(*tasks: Tensor) -> Tensor:
        trainer.train_step(tasks)
        return trainer.log.pending["loss"][-1][1]

    return step


def contenders() -> dict[str, Step]:
    """All that are here, from the same weights."""
    makers = {"ours": ours, "higher": with_higher, "plain loop": plain}
    if checkout := os.environ.get("LEARN2LEARN"):
        for name in ("learn2learn", "learn2learn.algorithms"):                   # packages whose own __init__ is not run
            package = types.ModuleType(name)
            package.__path__ = [str(Path(checkout, *name.split(".")))]
            sys.modules[name] = package
        makers["learn2learn"] = with_learn2learn
    net = Conv4(5, width=64)
    return {name: make(copy.deepcopy(net)) for name, make in makers.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--tasks", type=int, default=16)
    args = parser.parse_args()
    torch.manual_seed(0)
    data = episodes("digits", size=28, queries=5, tasks=args.tasks)
    batches = [data.at(i) for i in range(args.rounds + 1)]
    steps = contenders()
    losses: dict[str, list[Tensor]] = {name: [] for name in steps}
    seconds = in_turns({name: trains(step, batches, 1, losses[name]) for name, step in steps.items()}, args.rounds)
    record("maml", f"MAML, conv4 of 64 maps, {args.tasks} tasks, {STEPS} inner steps", "meta-iterations/s", entries(rates(seconds, 1), TARGETS),
           packages=("higher",), rounds=args.rounds, losses={name: [round(loss.item(), 4) for loss in values] for name, values in losses.items()})


if __name__ == "__main__":
    main()
