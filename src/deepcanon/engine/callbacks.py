"""Callbacks of a run: objects with `step(trainer)`, called after every step, and optionally `start(trainer)`, `end(trainer)`
and a `state_dict`, which is saved and restored by a resume.
"""

from __future__ import annotations

import contextlib
import math
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import torch
from torch import Tensor, nn

from deepcanon.engine import parallel
from deepcanon.engine.batches import device_of, to
from deepcanon.engine.checkpoint import write_weights
from deepcanon.engine.seeds import seed_everything
from deepcanon.grammar import Bound
from deepcanon.layers.modes import evaluating

if TYPE_CHECKING:
    from deepcanon.engine.loop import Trainer


def evaluate(method: Any, data: Any, seed: int = 0) -> dict[str, float]:
    """The mean over all examples of every entry of `method.metrics(batch)`, in evaluation mode, without gradients.

    An entry "weight" says how much each example counts, such as the tokens of a sentence; without it all count the same.
    """
    if not hasattr(method, "metrics"):
        raise ValueError(f"{type(method).__name__} has no metrics(batch): it cannot be evaluated on data")
    sums: dict[str, Any] = {}
    count: Any = 0
    device = device_of(method)
    with evaluation_mode(method, seed):
        for batch in data.to(device) if hasattr(data, "to") else data:
            values = dict(method.metrics(to(batch, device)))
            weight = values.pop("weight", None)
            for name, value in values.items():
                sums[name] = sums.get(name, 0) + (value.double() if weight is None else value.double() * weight).sum()
            count += len(next(iter(values.values()))) if weight is None else weight.double().sum()
    if not count:
        raise ValueError("the evaluation data holds no batch")
    return {name: float(total / count) for name, total in sums.items()}


@contextlib.contextmanager
def evaluation_mode(method: nn.Module, seed: int = 0):
    """Eval mode, no gradients, compiled nets run eagerly, and random streams of their own: training goes on as if nothing had happened."""
    eager = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else contextlib.nullcontext()
    streams = numpy.random.get_state(), random.getstate()  # noqa: NPY002 (the global streams are meant)
    try:
        with torch.no_grad(), torch.random.fork_rng(), evaluating(method), eager:
            seed_everything(seed)
            yield
    finally:
        numpy.random.set_state(streams[0])  # noqa: NPY002
        random.setstate(streams[1])


def running_statistics(method: nn.Module) -> list[Tensor]:
    """What its batch normalization counts: running means and variances, and the number of batches."""
    found = [getattr(m, name, None) for m in method.modules() for name in ("running_mean", "running_var", "num_batches_tracked")]
    return [statistic for statistic in found if isinstance(statistic, Tensor)]


class EMA:
    """An exponential moving average of the weights (Polyak & Juditsky 1992), used wherever the run is evaluated, sampled or saved.

        avg <- d avg + (1 - d) theta,    d = min(decay, (1 + t) / (10 + t))

    The running statistics of batch normalization are averaged in the same way: those of the weights of the moment do not belong to the averaged ones.
    At the end the method keeps the averages.
    """

    def __init__(self, decay: float):
        if not 0 < decay < 1:
            raise ValueError(f"expected an EMA decay in (0, 1), got {decay}")
        self.decay, self.count = decay, 0

    def start(self, trainer: Trainer) -> None:
        statistics = {id(t) for t in running_statistics(trainer.method) if t.is_floating_point()}
        named = {name: p for name, p in trainer.method.named_parameters() if p.requires_grad}
        named |= {name: b for name, b in trainer.method.named_buffers() if id(b) in statistics}
        self.names, self.weights = list(named), list(named.values())
        self.average = [p.detach().clone() for p in self.weights]
        self.kinds = list(zip(parallel.by_kind(self.average), parallel.by_kind(self.weights)))
        trainer.averaged = self.swapped_in

    @torch.no_grad()
    def step(self, trainer: Trainer) -> None:
        self.count += 1
        weight = 1 - min(self.decay, (1 + self.count) / (10 + self.count))
        for average, weights in self.kinds:
            torch._foreach_lerp_(average, weights, weight)

    def end(self, trainer: Trainer) -> None:
        self._write(self.average)
        trainer.averaged = contextlib.nullcontext

    @contextlib.contextmanager
    def swapped_in(self):
        """The method holds the average inside, its own weights again outside."""
        own = [p.detach().clone() for p in self.weights]
        self._write(self.average)
        try:
            yield
        finally:
            self._write(own)

    @torch.no_grad()
    def _write(self, values: list[Tensor]) -> None:
        for p, value in zip(self.weights, values):
            p.copy_(value)

    def state_dict(self) -> dict:
        return {"count": self.count, "average": dict(zip(self.names, self.average))}

    def load_state_dict(self, state: dict) -> None:
        self.count = state["count"]
        for name, own in zip(self.names, self.average):
            own.copy_(parallel.part(state["average"][name], own))


class Evaluate:
    """Evaluation every few steps and at the end.

    Args:
        what: data for `method.metrics`, a function method -> dict of numbers (a corpus metric), or a list of these.
        every: steps between evaluations; None evaluates at the end only.
        seed: of the random numbers that an evaluation draws.
    """

    def __init__(self, what, every: int | None = None, seed: int = 0):
        self.what: list[Any] = what if isinstance(what, list) else [what]
        self.every, self.seed, self.at = every, seed, -1

    def step(self, trainer: Trainer) -> None:
        if self.every and trainer.step % self.every == 0:
            self.end(trainer)

    def end(self, trainer: Trainer) -> None:
        if trainer.step == self.at:
            return
        self.at = trainer.step
        with trainer.averaged(), evaluation_mode(trainer.method, self.seed):
            results = self.measure(trainer.method)
        trainer.log.row(trainer.step, parallel.from_first(results) if trainer.world > 1 else results)

    def measure(self, method: nn.Module) -> dict[str, float]:
        """Every number of the evaluation."""
        measured: list[Any] = [item(method) if callable(item) else evaluate(method, item, self.seed) for item in self.what]
        return {name: float(value) for results in measured for name, value in results.items()}

    def state_dict(self) -> dict:
        return {"at": self.at}

    def load_state_dict(self, state: dict) -> None:
        self.at = state["at"]


@dataclass
class Best:
    """Keeps the best weights so far, by a number of the evaluation, in best.safetensors; at the end the method holds them,
    and the results are theirs.

    Args:
        metric: the number.
        sign: +1 if larger is better, else -1.
        patience: evaluations without a better one after which the run ends; None: it does not end early.
    """

    metric: str
    sign: int
    patience: int | None = None
    value: float = field(default=-math.inf, init=False)
    at: int = field(default=0, init=False)
    waited: int = field(default=0, init=False)
    seen: int = field(default=-1, init=False)
    results: dict[str, float] = field(default_factory=dict, init=False)
    weights: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)

    def start(self, trainer: Trainer) -> None:
        if not any(isinstance(c, Evaluate) for c in trainer.callbacks):
            raise ValueError(f"keeping the best {self.metric!r} needs evaluate=...")
        self.path: Path | None = trainer.log.file.parent / "best.safetensors" if trainer.log.file else None

    def step(self, trainer: Trainer) -> None:
        measured = max((c.at for c in trainer.callbacks if isinstance(c, Evaluate)), default=-1)
        if measured == trainer.step:
            self.look(trainer)
            if self.patience is not None and self.waited >= self.patience:
                trainer.stop = f"no better {self.metric} in {self.patience} evaluations (best {self.sign * self.value:.4g} at step {self.at})"

    def look(self, trainer: Trainer) -> None:
        """Compare the last evaluation with the best one."""
        if self.seen == trainer.step:
            return
        self.seen = trainer.step
        if self.metric not in trainer.log.evaluation:
            raise ValueError(f"the evaluation has no number {self.metric!r} to keep the best of, only {sorted(trainer.log.evaluation)}")
        value = self.sign * trainer.log.evaluation[self.metric]
        if value > self.value:
            self.value, self.at, self.waited, self.results = value, trainer.step, 0, dict(trainer.log.evaluation)
            with trainer.averaged():
                self.weights = {name: w.detach().cpu().clone() for name, w in trainer.weights().items()}
            if self.path:
                write_weights(self.path, self.weights)
        else:
            self.waited += 1

    def end(self, trainer: Trainer) -> None:
        self.look(trainer)
        if self.weights and self.at != trainer.step:
            trainer.load_weights(self.weights)
            trainer.log.evaluation = dict(self.results)
            trainer.log.say(f"the method holds the weights of step {self.at}, where {self.metric} was best: {self.sign * self.value:.4g}")

    def state_dict(self) -> dict:
        return {name: getattr(self, name) for name in ("value", "at", "waited", "seen", "results", "weights")}

    def load_state_dict(self, state: dict) -> None:
        self.__dict__.update(state)


def maximize(metric: str) -> Best:
    """Keep the weights at which an evaluated number was largest; the method holds them at the end."""
    return Best(metric, +1)


def minimize(metric: str) -> Best:
    """Keep the weights at which an evaluated number was smallest; the method holds them at the end."""
    return Best(metric, -1)


def EarlyStopping(best: Best, patience: int = 5) -> Best:
    """As `best`, and end the run when it has not improved for `patience` evaluations (Prechelt 1998)."""
    return Best(best.metric, best.sign, patience)


class Until:
    """Ends the run when an evaluated number reaches its goal: `Until("return", at_least(475))`."""

    def __init__(self, metric: str, goal: Bound):
        self.metric, self.goal = metric, goal

    def step(self, trainer: Trainer) -> None:
        measured = any(isinstance(c, Evaluate) and c.at == trainer.step for c in trainer.callbacks)
        if measured and self.metric not in trainer.log.evaluation:
            raise ValueError(f"the evaluation has no number {self.metric!r} to wait for, only {sorted(trainer.log.evaluation)}")
        if measured and self.goal.holds(trainer.log.evaluation[self.metric]):
            trainer.stop = f"{self.metric} {self.goal} reached"
