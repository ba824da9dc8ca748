"""What can be hung on a run: objects with `step(trainer)`, called after every step, and optionally `start(trainer)`, `end(trainer)`
and a `state_dict` that resume carries over.
"""

from __future__ import annotations

import contextlib
import io
import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import torch
from torch import Tensor, nn

from deepcanon.engine import parallel
from deepcanon.engine.batches import to
from deepcanon.engine.checkpoint import write_bytes, write_weights
from deepcanon.engine.run import Bound, seed_everything
from deepcanon.layers.modes import evaluating

if TYPE_CHECKING:
    from deepcanon.engine.loop import Trainer


def evaluate(method: Any, data: Any, seed: int = 0) -> dict[str, float]:
    """The mean over all examples of every entry of `method.metrics(batch)`, in evaluation mode, without gradients."""
    if not hasattr(method, "metrics"):
        raise ValueError(f"{type(method).__name__} has no metrics(batch): it cannot be evaluated on data")
    sums: dict[str, Tensor] = {}
    count = 0
    device = next((p.device for p in method.parameters()), torch.device("cpu"))
    with evaluation_mode(method, seed):
        for batch in data.to(device) if hasattr(data, "to") else data:
            values = method.metrics(to(batch, device))
            for name, value in values.items():
                sums[name] = sums.get(name, 0) + value.double().sum()
            count += len(next(iter(values.values())))
    if not count:
        raise ValueError("the evaluation data holds no batch")
    return {name: (total / count).item() for name, total in sums.items()}


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


class EMA:
    """An exponential moving average of the weights (Polyak & Juditsky 1992), used wherever the run is evaluated, sampled or saved.

        avg <- d avg + (1 - d) theta,    d = min(decay, (1 + t) / (10 + t))

    At the end the method keeps the average.
    """

    def __init__(self, decay: float):
        if not 0 < decay < 1:
            raise ValueError(f"expected an EMA decay in (0, 1), got {decay}")
        self.decay, self.count = decay, 0

    def start(self, trainer: Trainer) -> None:
        self.weights = [p for p in trainer.method.parameters() if p.requires_grad]
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
        return {"count": self.count, "average": self.average}

    def load_state_dict(self, state: dict) -> None:
        self.count = state["count"]
        for own, saved in zip(self.average, state["average"]):
            own.copy_(parallel.part(saved, own))


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
        trainer.log.row(trainer.step, parallel.from_first(results))

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
    """Keeps the best weights so far, by a number of the evaluation, in best.safetensors; `sign` is +1 if larger is better."""

    metric: str
    sign: int
    patience: int | None = None
    value: float = field(default=-math.inf, init=False)
    at: int = field(default=0, init=False)
    waited: int = field(default=0, init=False)
    seen: int = field(default=-1, init=False)

    def start(self, trainer: Trainer) -> None:
        if not any(isinstance(c, Evaluate) for c in trainer.callbacks):
            raise ValueError(f"keeping the best {self.metric!r} needs evaluate=...")
        self.path: Path | None = trainer.log.file.parent / "best.safetensors" if trainer.log.file else None

    def step(self, trainer: Trainer) -> None:
        measured = max((c.at for c in trainer.callbacks if isinstance(c, Evaluate)), default=-1)
        if measured == trainer.step:
            self.end(trainer)
            if self.patience is not None and self.waited >= self.patience:
                trainer.stop = f"no better {self.metric} in {self.patience} evaluations (best {self.sign * self.value:.4g} at step {self.at})"

    def end(self, trainer: Trainer) -> None:
        if self.seen == trainer.step:
            return
        self.seen = trainer.step
        if self.metric not in trainer.log.evaluation:
            raise ValueError(f"the evaluation has no number {self.metric!r} to keep the best of, only {sorted(trainer.log.evaluation)}")
        value = self.sign * trainer.log.evaluation[self.metric]
        if value > self.value:
            self.value, self.at, self.waited = value, trainer.step, 0
            with trainer.averaged():
                weights = trainer.weights()
                if self.path:
                    write_weights(self.path, weights)
        else:
            self.waited += 1

    def state_dict(self) -> dict:
        return {name: getattr(self, name) for name in ("value", "at", "waited", "seen")}

    def load_state_dict(self, state: dict) -> None:
        self.__dict__.update(state)


def maximize(metric: str) -> Best:
    """Keep the weights at which an evaluated number was largest."""
    return Best(metric, +1)


def minimize(metric: str) -> Best:
    """Keep the weights at which an evaluated number was smallest."""
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


class Samples:
    """What the method makes, every few steps and at the end: images (n, C, H, W) in [0, 1] as a grid in a PNG file, text in a .txt file.

    Args:
        make: method -> images or text.
        every: steps between samples; None samples at the end only.
        seed: of the random numbers that sampling draws, the same each time, so that the pictures show the training and not the noise.
    """

    def __init__(self, make: Callable[[Any], Tensor | str], every: int | None = None, seed: int = 0):
        self.make, self.every, self.seed = make, every, seed

    def step(self, trainer: Trainer) -> None:
        if self.every and trainer.step % self.every == 0:
            self.end(trainer)

    def end(self, trainer: Trainer) -> None:
        folder = trainer.log.file.parent / "samples" if trainer.log.file else None
        if trainer.world == 1 and (folder is None or any(folder.glob(f"{trainer.step:07d}.*"))):
            return
        with trainer.averaged(), evaluation_mode(trainer.method, self.seed):
            made = self.make(trainer.method)
        if folder is not None:
            write_samples(folder / f"{trainer.step:07d}", made)


def write_samples(stem: Path, made: Tensor | str) -> Path:
    """Images as one grid in `stem`.png, text in `stem`.txt."""
    if isinstance(made, str):
        path = stem.with_suffix(".txt")
        write_bytes(path, (made + "\n").encode())
        return path
    from matplotlib.image import imsave

    path = stem.with_suffix(".png")
    imsave(picture := io.BytesIO(), grid(made).numpy(), format="png")
    write_bytes(path, picture.getvalue())
    return path


def grid(images: Tensor, gap: int = 1) -> Tensor:
    """Images (n, C, H, W) in [0, 1], C = 1 or 3, as one (H', W', 3) picture, uint8, enlarged to a readable size."""
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"expected images (n, 1 or 3, H, W), got {tuple(images.shape)}")
    n, _, height, width = images.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    zoom = max(1, 768 // (columns * width))
    images = images.detach().cpu().float().clamp(0, 1).expand(n, 3, height, width)
    images = torch.cat([images, torch.ones(rows * columns - n, 3, height, width)])
    images = images.repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
    images = nn.functional.pad(images, (gap, gap, gap, gap), value=1.0)
    picture = images.unflatten(0, (rows, columns)).permute(0, 3, 1, 4, 2).flatten(0, 1).flatten(1, 2)
    return (picture * 255).round().to(torch.uint8)


class TensorBoard:
    """Every row of metrics.csv as scalars for TensorBoard, in the run folder or the folder given; a row is sent when the next one begins."""

    def __init__(self, folder: str | Path | None = None):
        self.folder, self.sent = folder, 0

    def start(self, trainer: Trainer) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ValueError("TensorBoard is not installed: pip install tensorboard") from None
        folder = self.folder or (trainer.log.file.parent / "tensorboard" if trainer.log.file else None)
        self.writer: Any = SummaryWriter(folder) if trainer.rank == 0 else None

    def step(self, trainer: Trainer) -> None:
        self._send(trainer.log.history[self.sent : -1])

    def end(self, trainer: Trainer) -> None:
        self._send(trainer.log.history[self.sent :])
        if self.writer:
            self.writer.close()

    def _send(self, rows: list[dict[str, float]]) -> None:
        self.sent += len(rows)
        for row in rows if self.writer else ():
            for name, value in row.items():
                if name != "step":
                    self.writer.add_scalar(name, value, row["step"])


class WandB:
    """Every row of metrics.csv for Weights & Biases; a row is sent when the next one begins."""

    def __init__(self, project: str = "deepcanon", **settings):
        self.project, self.settings, self.sent = project, settings, 0

    def start(self, trainer: Trainer) -> None:
        try:
            import wandb  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise ValueError("Weights & Biases is not installed: pip install wandb") from None
        self.run: Any = wandb.init(project=self.project, **self.settings) if trainer.rank == 0 else None

    def step(self, trainer: Trainer) -> None:
        self._send(trainer.log.history[self.sent : -1])

    def end(self, trainer: Trainer) -> None:
        self._send(trainer.log.history[self.sent :])
        if self.run:
            self.run.finish()

    def _send(self, rows: list[dict[str, float]]) -> None:
        self.sent += len(rows)
        for row in rows if self.run else ():
            self.run.log({k: v for k, v in row.items() if k != "step"}, step=row["step"])
