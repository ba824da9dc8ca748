"""What can be hung on a run: objects with `step(trainer)`, called after every step, and optionally `start(trainer)`, `end(trainer)`
and a `state_dict` that resume carries over.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from deepcanon.engine import parallel
from deepcanon.engine.checkpoint import write_weights

if TYPE_CHECKING:
    from deepcanon.engine.loop import Trainer


def evaluate(method: nn.Module, data: Iterable) -> dict[str, float]:
    """The mean over all examples of every entry of `method.metrics(batch)`, in evaluation mode, without gradients."""
    if not hasattr(method, "metrics"):
        raise ValueError(f"{type(method).__name__} has no metrics(batch): it cannot be evaluated on data")
    sums: dict[str, Tensor] = {}
    count = 0
    device = next((p.device for p in method.parameters()), torch.device("cpu"))
    with evaluation_mode(method):
        for batch in data.to(device) if hasattr(data, "to") else data:
            values = method.metrics(batch)
            for name, value in values.items():
                sums[name] = sums.get(name, 0) + value.double().sum()
            count += len(next(iter(values.values())))
    if not count:
        raise ValueError("the evaluation data holds no batch")
    return {name: (total / count).item() for name, total in sums.items()}


@contextlib.contextmanager
def evaluation_mode(method: nn.Module, seed: int = 0):
    """Eval mode, no gradients, compiled nets run eagerly, and a random stream of its own: training goes on as if nothing had happened."""
    training = {module: module.training for module in method.modules()}
    method.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(), torch.compiler.set_stance("force_eager"):
            torch.manual_seed(seed)
            yield
    finally:
        for module, mode in training.items():
            module.training = mode


class EMA:
    """An exponential moving average of the weights (Polyak & Juditsky 1992), used wherever the run is evaluated, sampled or saved.

        avg <- d avg + (1 - d) theta,    d = min(decay, (1 + t) / (10 + t))
    """

    def __init__(self, decay: float):
        if not 0 < decay < 1:
            raise ValueError(f"expected an EMA decay in (0, 1), got {decay}")
        self.decay, self.count = decay, 0

    def start(self, trainer: Trainer) -> None:
        self.weights = [p for p in trainer.method.parameters() if p.requires_grad]
        self.average = [p.detach().clone() for p in self.weights]
        trainer.averaged = self.swapped_in

    def step(self, trainer: Trainer) -> None:
        self.count += 1
        torch._foreach_lerp_(self.average, [p.detach() for p in self.weights], 1 - min(self.decay, (1 + self.count) / (10 + self.count)))

    @contextlib.contextmanager
    def swapped_in(self):
        """The method holds the average inside, its own weights again outside."""
        with torch.no_grad():
            own = [p.clone() for p in self.weights]
            torch._foreach_copy_(self.weights, self.average)
            try:
                yield
            finally:
                torch._foreach_copy_(self.weights, own)

    def state_dict(self) -> dict:
        return {"count": self.count, "average": self.average}

    def load_state_dict(self, state: dict) -> None:
        self.count = state["count"]
        torch._foreach_copy_(self.average, [parallel.part(saved, own) for saved, own in zip(state["average"], self.average)])


class Evaluate:
    """Evaluation every few steps and at the end.

    Args:
        what: data for `method.metrics`, a function method -> dict of numbers (a corpus metric), or a list of these.
        every: steps between evaluations; None evaluates at the end only.
        seed: of the random numbers that an evaluation draws.
    """

    def __init__(self, what, every: int | None = None, seed: int = 0):
        self.what = what if isinstance(what, list) else [what]
        self.every, self.seed, self.at = every, seed, -1

    def step(self, trainer: Trainer) -> None:
        if self.every and trainer.step % self.every == 0:
            self.end(trainer)

    def end(self, trainer: Trainer) -> None:
        if trainer.step == self.at:
            return
        self.at, results = trainer.step, {}
        with trainer.averaged(), evaluation_mode(trainer.method, self.seed):
            for item in self.what:
                results |= item(trainer.method) if callable(item) else evaluate(trainer.method, item)
        trainer.log.row(trainer.step, results)

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
    seen: int = field(default=0, init=False)

    def start(self, trainer: Trainer) -> None:
        self.path: Path | None = trainer.log.file.parent / "best.safetensors" if trainer.log.file else None

    def step(self, trainer: Trainer) -> None:
        latest = trainer.log.history[-1] if trainer.log.history else {}
        if latest.get("step") == trainer.step and f"eval/{self.metric}" in latest and self.seen != trainer.step:
            self.seen = trainer.step
            self._compare(trainer, self.sign * latest[f"eval/{self.metric}"])
        elif trainer.step == 1 and not any(isinstance(c, Evaluate) and c.every for c in trainer.callbacks):
            raise ValueError(f"keeping the best {self.metric!r} needs evaluate=... and evaluate_every=...")

    def _compare(self, trainer: Trainer, value: float) -> None:
        if value > self.value:
            self.value, self.at, self.waited = value, trainer.step, 0
            with trainer.averaged():
                weights = trainer.weights()
            if self.path:
                write_weights(self.path, weights)
            return
        self.waited += 1
        if self.patience is not None and self.waited >= self.patience:
            trainer.stop = f"no better {self.metric} in {self.patience} evaluations (best {self.sign * self.value:.4g} at step {self.at})"

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


class Samples:
    """What the method makes, every few steps and at the end: images (n, C, H, W) in [0, 1] as a grid in a PNG file, text in a .txt file.

    Args:
        make: method -> images or text.
        every: steps between samples; None samples at the end only.
        seed: of the random numbers that sampling draws, the same each time, so that the pictures show the training and not the noise.
    """

    def __init__(self, make: Callable[[nn.Module], Tensor | str], every: int | None = None, seed: int = 0):
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
            folder.mkdir(exist_ok=True)
            write_samples(folder / f"{trainer.step:07d}", made)


def write_samples(stem: Path, made: Tensor | str) -> Path:
    """Images as one grid in `stem`.png, text in `stem`.txt."""
    if isinstance(made, str):
        path = stem.with_suffix(".txt")
        path.write_text(made + "\n", encoding="utf-8")
        return path
    from matplotlib.image import imsave

    path = stem.with_suffix(".png")
    imsave(path, grid(made).numpy())
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
    """Every row of metrics.csv as scalars for TensorBoard, in the run folder or the folder given."""

    def __init__(self, folder: str | Path | None = None):
        self.folder, self.written = folder, 0

    def start(self, trainer: Trainer) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ValueError("TensorBoard is not installed: pip install tensorboard") from None
        self.write = SummaryWriter(self.folder or (trainer.log.file.parent / "tensorboard" if trainer.log.file else None))

    def step(self, trainer: Trainer) -> None:
        for row in trainer.log.history[self.written :]:
            for name, value in row.items():
                if name != "step":
                    self.write.add_scalar(name, value, row["step"])
        self.written = len(trainer.log.history)

    def end(self, trainer: Trainer) -> None:
        self.step(trainer)
        self.write.close()


class WandB:
    """Every row of metrics.csv for Weights & Biases."""

    def __init__(self, project: str = "deepcanon", **settings):
        self.project, self.settings, self.written = project, settings, 0

    def start(self, trainer: Trainer) -> None:
        try:
            import wandb
        except ImportError:
            raise ValueError("Weights & Biases is not installed: pip install wandb") from None
        self.run = wandb.init(project=self.project, **self.settings)

    def step(self, trainer: Trainer) -> None:
        for row in trainer.log.history[self.written :]:
            self.run.log({k: v for k, v in row.items() if k != "step"}, step=row["step"])
        self.written = len(trainer.log.history)

    def end(self, trainer: Trainer) -> None:
        self.step(trainer)
        self.run.finish()
