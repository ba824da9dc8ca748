"""What a training loop costs beside the arithmetic: the engine, Lightning and Accelerate against a loop written by hand.

    pip install lightning accelerate && python benchmarks/overhead.py [--rounds 8] [--steps 1500]

784-128-10 perceptron, batch 64, fused Adam, the same batches for all, turn and turn about in one process on a pseudo-terminal. The engine draws
its bar and writes metrics.csv, Lightning draws its bar and writes its CSVLogger's file, both every 50 steps; Accelerate and the hand-written loop
show nothing. The clock runs from the draw of batch 200 to that of the last.
"""

import argparse
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import lightning
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from record import HEAD, earlier, entry, record, rows
from torch import Tensor, nn

from deepcanon.engine import Adam, fit, options

BATCH, LR, WARM_UP, LOG_EVERY = 64, 1e-3, 200, 50
TARGETS = {"by hand": 0.05, "Lightning": None, "Accelerate": None}


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
    "by hand": by_hand, "ours": ours, "Lightning": with_lightning, "Accelerate": with_accelerate,
}


def measure(rounds: int, steps: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        weights = {}
        for name, train in CONTENDERS.items():
            data = Clocked(steps)
            with tempfile.TemporaryDirectory() as folder:
                weights[name] = train(data, Path(folder) / "run")[0].weight
            times[name].append(data.microseconds)
        assert all(torch.equal(w, weights["by hand"]) for w in weights.values()), "the contenders did not do the same work"
    median = {name: statistics.median(values) for name, values in times.items()}
    lines = [entry("training step", median, "ours", peer, target, overhead(times["ours"], times[peer]), kind="overhead")
             for peer, target in TARGETS.items()]
    record("overhead", f"perceptron 784-128-10, batch {BATCH}", "microseconds", lines, packages=("lightning", "accelerate"),
           over_by_hand={name: round(overhead(values, times["by hand"]), 4) for name, values in times.items()}, rounds=rounds, steps=steps,
           all_microseconds={name: [round(v, 1) for v in values] for name, values in times.items()})


def overhead(times: list[float], base: list[float]) -> float:
    """Median over the rounds of the time taken over that of the base, minus 1."""
    return statistics.median(value / of for value, of in zip(times, base)) - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1_500, help="a turn")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    process, terminal = os.forkpty()
    if process == 0:                                                   # on a terminal of its own, so that the bars are drawn
        measure(args.rounds, args.steps)
        os._exit(0)
    drawn = watch(terminal)
    if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]):
        raise SystemExit(drawn.decode()[-2_000:])
    print(HEAD, *rows(earlier("overhead")), sep="\n")


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
