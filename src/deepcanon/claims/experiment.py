"""What an experiment on a statement returns, how it is run, and how chance is treated.

A number that depends on chance is measured over five seeds; its 95 % interval decides, which is
mean +- t_{0.975, 4} s / sqrt(5) (Student 1908).
"""

import functools
import importlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from deepcanon.claims.index import CONFIRMED, OPEN, REFUTED, Statement, statement
from deepcanon.engine import options
from deepcanon.engine.checkpoint import write_json
from deepcanon.engine.record import environment
from deepcanon.engine.seeds import seed_everything
from deepcanon.proofs import interval

Interval = tuple[float, float]
Numbers = dict[str, float]
Intervals = dict[str, Interval]
SEEDS = 5


@dataclass(frozen=True)
class Finding:
    """What was measured of a statement.

    Args:
        measured: numbers by name.
        holds: whether they show the statement to be true; None when they decide nothing.
        note: what the statement leaves out or gets wrong, one or two sentences.
        intervals: 95 % intervals of those numbers that depend on chance.

    Raises:
        ValueError: a number that is not finite, a `holds` of another type, an interval of nothing measured.
    """

    measured: Numbers
    holds: bool | None
    note: str = ""
    intervals: Intervals = field(default_factory=dict)

    def __post_init__(self):
        numbers = [*self.measured.values(), *(end for ends in self.intervals.values() for end in ends)]
        if not all(isinstance(x, int | float) and math.isfinite(x) for x in numbers):
            raise ValueError(f"expected finite numbers, got {self.measured} with intervals {self.intervals}")
        if not isinstance(self.holds, bool | None):
            raise ValueError(f"expected holds to be True, False or None, got {self.holds!r}")
        if unknown := self.intervals.keys() - self.measured.keys():
            raise ValueError(f"intervals of numbers that were not measured: {', '.join(sorted(unknown))}")

    @property
    def verdict(self) -> str:
        """confirmed, refuted, or not confirmed at this scale."""
        return {True: CONFIRMED, False: REFUTED, None: OPEN}[self.holds]


class Result(NamedTuple):
    """A finding, of which statement, after how many seconds of the wall clock and of the processor."""

    statement: Statement
    finding: Finding
    seconds: float
    cpu_seconds: float

    def record(self) -> dict:
        """What is kept of it: statement, verdict, numbers, seconds, versions, commit and hardware."""
        asked, found = self.statement, self.finding
        return {
            "id": asked.id, "statement": asked.text, "area": asked.area, "answer": asked.answer,
            "verdict": found.verdict, "measured": found.measured, "intervals": found.intervals,
            "note": found.note, "seconds": round(self.seconds, 2), "cpu_seconds": round(self.cpu_seconds, 2),
            "command": f"deepcanon claims {asked.id} --record", "date": time.strftime("%Y-%m-%d"),
            **environment(),
        }


def claim(id: str, *, answer: str) -> Callable[[Callable[[], Finding]], Callable[[], Finding]]:
    """Make a function the experiment of a statement: it starts from seed 0, runs on the CPU, prints nothing.

    Args:
        id: of the statement.
        answer: the course's own; see `index.ANSWERS`.
    """

    def decorate(experiment: Callable[[], Finding]) -> Callable[[], Finding]:
        @functools.wraps(experiment)
        def run() -> Finding:
            seed_everything(0)
            with options(quiet=True, device="cpu"):
                return experiment()

        run.id, run.answer = id, answer  # type: ignore[attr-defined]
        return run

    return decorate


def measure(id: str) -> Result:
    """Run the experiment of a statement. Raises ValueError for an id that there is not."""
    asked = statement(id)
    experiment = getattr(importlib.import_module(asked.module), asked.function)
    began, work = time.perf_counter(), time.process_time()
    finding = experiment()
    return Result(asked, finding, time.perf_counter() - began, time.process_time() - work)


def write(result: Result, folder: Path) -> Path:
    """Keep a result as `<folder>/<id>.json`; its path."""
    path = Path(folder) / f"{result.statement.id}.json"
    write_json(path, result.record())
    return path


def over_seeds(experiment: Callable[[int], Numbers], seeds: int = SEEDS) -> tuple[Numbers, Intervals]:
    """Run `experiment(seed)` for the seeds 0, 1, ..., the random numbers of each started from it.

    Returns:
        the mean of every number, and its 95 % interval.
    """
    runs = []
    for seed in range(seeds):
        seed_everything(seed)
        runs.append(experiment(seed))
    summary = {name: interval([run[name] for run in runs]) for name in runs[0]}
    means = {name: s["mean"] for name, s in summary.items()}
    return means, {name: (s["low"], s["high"]) for name, s in summary.items()}


def above(ends: Interval, level: float) -> bool | None:
    """Whether a mean lies above `level`; None when its interval contains it."""
    low, high = ends
    return True if low > level else False if high < level else None


def below(ends: Interval, level: float) -> bool | None:
    """Whether a mean lies below `level`; None when its interval contains it."""
    low, high = ends
    return True if high < level else False if low > level else None


def every(*parts: bool | None) -> bool | None:
    """Whether all parts of a statement hold: False if one does not, else None if one is not decided."""
    return False if False in parts else None if None in parts else True
