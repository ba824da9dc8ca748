"""What a training loop costs beside the arithmetic: the engine, Lightning and Accelerate against a loop written by hand.

    pip install lightning accelerate && python benchmarks/overhead.py [--rounds 8] [--steps 1500]

784-128-10 perceptron, batch 64, fused Adam, the same batches for all, turn and turn about in one process on a pseudo-terminal. The engine draws
its bar and writes metrics.csv, Lightning draws its bar and writes its CSVLogger's file, both every 50 steps; Accelerate and the hand-written loop
show nothing. The clock runs from the draw of batch 200 to that of the last.
"""

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import lightning
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn

from deepcanon.engine import Adam, fit, options
from deepcanon.engine.run import environment

BATCH, LR, WARM_UP, LOG_EVERY = 64, 1e-3, 200, 50
TARGET = 0.05


class Clocked:
    """The same batches over and over, for a number of steps, and the time that each step took."""

    def __init__(self, steps: int):
        generator = torch.Generator().manual_seed(0)
        self.x, self.y = torch.rand(50, BATCH, 784, generator=generator), torch.randint(10, (50, BATCH), generator=generator)
        self.steps = steps

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        if step == WARM_UP:
            self.start = time.perf_counter()
        elif step == self.steps - 1:
            self.microseconds = (time.perf_counter() - self.start) / (step - WARM_UP) * 1e6
        return self.x[step % 50], self.y[step % 50]

    def __iter__(self):
        return map(self.at, range(self.steps))

    def __len__(self) -> int:
        return self.steps


def perceptron() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


class Method(nn.Module):
    """The perceptron for the engine."""

    def __init__(self):
        super().__init__()
        self.net = perceptron()

    def loss(self, batch):
        x, y = batch
        return F.cross_entropy(self.net(x), y)


class Module(lightning.LightningModule):
    """The perceptron as Lightning's users write it."""

    def __init__(self):
        super().__init__()
        self.net = perceptron()

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self.net(x), y)
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=LR, fused=True)


def by_hand(data: Clocked, folder: Path) -> nn.Module:
    net = perceptron()
    optimizer = torch.optim.Adam(net.parameters(), lr=LR, fused=True)
    for x, y in data:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    return net


def ours(data: Clocked, folder: Path) -> nn.Module:
    with options(folder=folder):
        return fit(Method(), data, Adam(LR), steps=len(data), log_every=LOG_EVERY).method.net


def with_lightning(data: Clocked, folder: Path) -> nn.Module:
    trainer = lightning.Trainer(accelerator="cpu", max_epochs=1, logger=CSVLogger(folder), callbacks=[TQDMProgressBar()], log_every_n_steps=LOG_EVERY,
                                enable_checkpointing=False, enable_model_summary=False)
    trainer.fit(module := Module(), data)
    return module.net


def with_accelerate(data: Clocked, folder: Path) -> nn.Module:
    accelerator = Accelerator(cpu=True)
    net = perceptron()
    net, optimizer = accelerator.prepare(net, torch.optim.Adam(net.parameters(), lr=LR, fused=True))
    for x, y in data:
        optimizer.zero_grad()
        accelerator.backward(F.cross_entropy(net(x), y))
        optimizer.step()
    return net


CONTENDERS: dict[str, Callable[[Clocked, Path], nn.Module]] = {
    "by_hand": by_hand, "ours": ours, "lightning": with_lightning, "accelerate": with_accelerate,
}


def measure(rounds: int, steps: int) -> dict:
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        weights = {}
        for name, train in CONTENDERS.items():
            data = Clocked(steps)
            with tempfile.TemporaryDirectory() as folder:
                weights[name] = train(data, Path(folder) / "run")[0].weight
            times[name].append(data.microseconds)
        assert all(torch.equal(w, weights["by_hand"]) for w in weights.values()), "the contenders did not do the same work"
    median = {name: statistics.median(values) for name, values in times.items()}
    ratios = {name: [value / base for value, base in zip(values, times["by_hand"])] for name, values in times.items()}
    return {
        "work": "training step of a 784-128-10 perceptron, batch 64, fused Adam",
        "unit": "microseconds a step, median of the rounds",
        "microseconds": {name: round(value, 1) for name, value in median.items()},
        "overhead": {name: round(statistics.median(values) - 1, 4) for name, values in ratios.items()},
        "target": {"ours": TARGET},
        "rounds": rounds, "steps": steps, "all_microseconds": {name: [round(v, 1) for v in values] for name, values in times.items()},
        "peers": {name: version(name) for name in ("lightning", "accelerate")}, **environment(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1_500, help="a turn")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "bench_overhead.json")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    process, terminal = os.forkpty()
    if process == 0:                                                   # on a terminal of its own, so that the bars are drawn
        args.out.parent.mkdir(exist_ok=True)
        args.out.write_text(json.dumps(measure(args.rounds, args.steps), indent=2) + "\n")
        os._exit(0)
    drawn = watch(terminal)
    if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]):
        raise SystemExit(drawn.decode()[-2_000:])
    print(args.out.read_text())


def watch(terminal: int) -> bytes:
    """All that is written to the terminal until it closes."""
    drawn = b""
    while True:
        try:
            drawn += (more := os.read(terminal, 65_536))
        except OSError:
            return drawn
        if not more:
            return drawn


if __name__ == "__main__":
    main()
