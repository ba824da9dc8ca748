"""Finished runs as their folders tell them, and groups of runs that differ in the seed alone."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deepcanon import catalogue
from deepcanon.engine.checkpoint import read_json
from deepcanon.engine.folder import last_stage
from deepcanon.engine.record import read_call
from deepcanon.report.data import data_of
from deepcanon.report.numbers import SIGNS, holds, number, spread

Curve = tuple[list[float], list[float]]


@dataclass
class Entry:
    """One finished run.

    Args:
        folder: the run folder.

    Raises:
        ValueError: on reading, when it is no run folder, is not finished, or holds what is no number.
    """

    folder: Path

    @cached_property
    def last(self) -> Path:
        """The folder of the run's last stage."""
        return last_stage(self.folder)

    @cached_property
    def call(self) -> dict:
        return read_call(self.folder)

    @cached_property
    def result(self) -> dict:
        path = self.last / "result.json"
        if not path.exists():
            raise ValueError(f"{self.folder} is not finished: it has no result.json")
        result = read_json(path)
        wrong = [k for k, v in result["results"].items() if not isinstance(v, int | float)]
        if wrong:
            raise ValueError(f"{path}: the result {wrong[0]!r} is not a number")
        return result

    @cached_property
    def history(self) -> list[dict[str, float]]:
        path = self.last / "metrics.csv"
        if not path.exists():
            return []
        try:
            with open(path, newline="", encoding="utf-8") as file:
                return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} is not a table of numbers: {error}") from None

    @property
    def name(self) -> str:
        return self.call.get("label") or self.call["recipe"]

    @property
    def seed(self) -> int:
        return self.call.get("seed", 0)

    @cached_property
    def results(self) -> dict[str, float]:
        return {k: float(v) for k, v in self.result["results"].items()}

    @cached_property
    def columns(self) -> list[str]:
        """The columns of metrics.csv beside step and seconds."""
        return [
            k for k in dict.fromkeys(k for row in self.history for k in row) if k not in ("step", "seconds")
        ]

    @cached_property
    def evaluated(self) -> list[str]:
        """Names of the numbers that were evaluated, not trained on."""
        return [k.removeprefix("eval/") for k in self.columns if k.startswith("eval/")]

    @cached_property
    def losses(self) -> list[str]:
        """The columns that were minimised."""
        return [k for k in self.columns if "/" not in k]

    def curve(self, column: str) -> Curve:
        """Seconds and values of a column of metrics.csv, without those that are not finite."""
        rows = [row for row in self.history if math.isfinite(row.get(column, math.nan)) and "seconds" in row]
        return [row["seconds"] for row in rows], [row[column] for row in rows]

    @property
    def command(self) -> str:
        """The line that makes the run again; empty where it was not made by a recipe."""
        return self.call.get("command", "")

    @cached_property
    def data_key(self) -> tuple[str, ...]:
        """What two runs must share to stand on one scale: data or environment, by name and content."""
        sources = [
            f"{s.get('kind', '')}:{s.get('name', '')}:{s.get('shape', '')}:{s.get('sha256', '')}"
            for s in self.call.get("sources") or []
        ]
        record = self.call["data"].items()
        given = [str(v) for k in ("data", "env") if (v := self.call["arguments"].get(k)) is not None]
        return tuple(
            sources
            or [f"{key}:{about.get('sha256', '')}" for key, about in record]
            or given
            or [f"run:{self.folder}"]
        )


@dataclass
class Group:
    """The runs of one call, one a seed.

    Args:
        runs: their folders' entries.
        index: place in the report, which chooses the colour.
        name: what the group is called.
    """

    runs: list[Entry]
    index: int
    name: str

    @property
    def first(self) -> Entry:
        return self.runs[0]

    @property
    def call(self) -> dict:
        return self.first.call

    @cached_property
    def about(self) -> catalogue.RecipeInfo | None:
        return catalogue.recipes().get(self.call["recipe"])

    @cached_property
    def summary(self) -> str:
        """One line about the method."""
        return self.about.summary if self.about else self.call.get("about", "").partition("\n")[0]

    @property
    def seconds(self) -> float:
        return statistics.mean(float(run.result["seconds"]) for run in self.runs)

    @property
    def rate(self) -> float:
        return statistics.mean(run.result["steps"] / max(run.result["seconds"], 1e-9) for run in self.runs)

    @cached_property
    def evaluated(self) -> list[str]:
        """The evaluated numbers, those with a target first."""
        names = list(dict.fromkeys(name for run in self.runs for name in run.evaluated))
        return sorted(names, key=lambda name: name not in self.target)

    @cached_property
    def target(self) -> dict[str, tuple[str, float]]:
        """Name -> (sign, bound), as the call recorded them."""
        return {
            k: (sign, float(bound))
            for k, (sign, bound) in (self.call.get("target") or {}).items()
            if sign in SIGNS
        }

    def values(self, metric: str) -> list[float]:
        """One value for each seed that has it."""
        return [run.results[metric] for run in self.runs if metric in run.results]

    def mean(self, metric: str) -> float | None:
        values = self.values(metric)
        return statistics.mean(values) if values else None

    def shown(self, metric: str) -> str:
        """Mean and standard deviation over the seeds; of bits/dim whether they are exact or a bound."""
        values = self.values(metric)
        kind = self.call.get("likelihood") if metric == "bits_per_dim" else None
        return (spread(values) + (f" ({kind})" if kind else "")) if values else ""

    @cached_property
    def claims(self) -> list[dict]:
        """Each number with a target, and whether it holds; without targets the first evaluated numbers."""
        if not self.target:
            return [
                {"name": k, "value": self.shown(k), "target": "", "holds": None} for k in self.evaluated[:4]
            ]
        return [
            {
                "name": k,
                "value": self.shown(k) or "missing",
                "target": f"{SIGNS[sign]} {number(bound)}",
                "holds": holds(self.mean(k), sign, bound),
            }
            for k, (sign, bound) in self.target.items()
        ]

    @property
    def others(self) -> list[str]:
        """The evaluated numbers that are no claims."""
        shown = {c["name"] for c in self.claims}
        return [name for name in self.evaluated if name in self.first.results and name not in shown]

    @property
    def verdict(self) -> str:
        """How many of the targets are met, as a sentence; empty where there is none."""
        met = sum(c["holds"] for c in self.claims) if self.target else 0
        total = len(self.target)
        if not total:
            return ""
        if total == 1:
            return "The target is met." if met else "The target is not met."
        return "All targets are met." if met == total else f"{met} of {total} targets are met."


def groups_of(folders: Sequence[Path]) -> list[Group]:
    """The runs by call, in the order given; runs whose arguments differ in the seed alone are one group.

    Groups of one label are distinguished by the arguments in which they differ.
    """
    calls: dict[tuple, list[Entry]] = {}
    for folder in folders:
        entry = Entry(Path(folder))
        arguments = tuple(sorted((k, repr(v)) for k, v in entry.call["arguments"].items() if k != "seed"))
        calls.setdefault((entry.name, arguments), []).append(entry)
    names = [name for name, _ in calls]
    groups = []
    for i, ((name, arguments), runs) in enumerate(calls.items()):
        others = [set(a) for n, a in calls if n == name and a != arguments]
        own = (
            [f"{k}={v}" for k, v in arguments if any((k, v) not in other for other in others)]
            if names.count(name) > 1
            else []
        )
        groups.append(Group(runs, i, " ".join([name, *own])))
    return groups


@dataclass
class Scale:
    """Groups that were measured on the same data, and the numbers that two or more of them have in common."""

    groups: list[Group]
    metrics: list[str]

    @property
    def data(self) -> str:
        """The name of the data; empty where none is recorded."""
        return ", ".join(info.name for info in data_of(self.groups[0].call))

    def best(self, metric: str, better: str | None) -> Group | None:
        """The group with the best mean; None where neither direction is better or all are equal."""
        means = {
            i: mean
            for i, g in enumerate(self.groups)
            if (mean := g.mean(metric)) is not None and math.isfinite(mean)
        }
        if better is None or len(set(means.values())) < 2:
            return None
        return self.groups[(max if better == "up" else min)(means, key=means.__getitem__)]


def scales(groups: Sequence[Group]) -> list[Scale]:
    """A scale for each data set or environment on which two groups have an evaluated number in common."""
    by_data: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        by_data.setdefault(group.first.data_key, []).append(group)
    found = []
    for members in by_data.values():
        names = [name for group in members for name in group.evaluated]
        shared = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if shared:
            found.append(Scale([g for g in members if any(m in g.evaluated for m in shared)], shared))
    return found


def shared_metrics(groups: Sequence[Group]) -> list[str]:
    """Evaluated numbers that two groups or more have in common, on the same data."""
    return list(dict.fromkeys(metric for scale in scales(groups) for metric in scale.metrics))
