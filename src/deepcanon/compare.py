"""Several recipes under one budget and the same seeds, side by side in the terminal and in one page."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deepcanon import catalogue
from deepcanon.engine.options import options
from deepcanon.engine.run import Run
from deepcanon.report import Group, groups_of, mark, number, shared_metrics, write_report
from deepcanon.runs import find_recipe

WIDE = 140                                               # columns of a table that no terminal shows


def compare(names: Sequence[str], seeds: int = 1, minutes: float | None = None, out: str | Path | None = None) -> Path:
    """Run every recipe once a seed and write `<out>/report.html`.

    Args:
        names: recipes.
        seeds: 0, 1, ... up to this many.
        minutes: one budget for each run, in place of the recipes' own.
        out: folder of the runs and the report; by default below runs/.

    Returns:
        the path of the report.
    """
    if len(set(names)) < 2:
        raise ValueError("name two recipes or more to compare")
    if seeds < 1:
        raise ValueError(f"expected 1 seed or more, got {seeds}")
    functions = {name: find_recipe(name) for name in dict.fromkeys(names)}
    root = Path(out or Path("runs") / "compare" / time.strftime("%Y%m%d-%H%M%S"))
    if root.exists() and any(root.iterdir()):
        raise ValueError(f"{root} is not empty: name another folder for the comparison")
    folders = []
    for i, (name, function) in enumerate(functions.items()):
        for seed in range(seeds):
            say(f"[{i + 1}/{len(functions)}] {name}" + (f", seed {seed}" if seeds > 1 else "") + f": {catalogue.recipe(name).summary}")
            folders.append(root / f"{name}-seed{seed}")
            with options(folder=folders[-1], minutes=minutes):
                report_line(function(seed=seed))
    groups = groups_of(folders)
    print_table(groups)
    return write_report(folders, root / "report.html")


def report_line(run: Run) -> None:
    """One line about a run that has ended."""
    numbers = ", ".join(f"{k} {number(v)}" for k, v in list(run.results.items())[:5])
    say(f"    {numbers}; {run.steps} steps in {run.seconds:.1f} s")


def say(line: str) -> None:
    """A line on stderr."""
    print(line, file=sys.stderr, flush=True)


def print_table(groups: Sequence[Group]) -> None:
    """The results on the terminal: each recipe's own numbers, then what several recipes share."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else WIDE)
    own = Table(title="Results", title_justify="left")
    for column in ("recipe", "result", "target"):
        own.add_column(column, overflow="fold")
    for column in ("seconds", "steps/s", "parameters"):
        own.add_column(column, justify="right", overflow="fold")
    for group in groups:
        lines = [(f"{c['name']} {c['value']}", c["target"] and f"{c['target']} {mark(c['holds'])}") for c in group.claims]
        own.add_row(group.name, "\n".join(a for a, _ in lines), "\n".join(b for _, b in lines),
                    f"{group.seconds:.1f}", number(group.rate), f"{group.first.call['parameters']:,}")
    console.print(own)
    if shared := shared_metrics(groups):
        same = Table(title="On the same scale", title_justify="left")
        for column in ("recipe", *shared):
            same.add_column(column, overflow="fold")
        for group in groups:
            if any(m in group.first.evaluated for m in shared):
                same.add_row(group.name, *(group.shown(m) or "-" for m in shared))
        console.print(same)
    seconds = [run.result["seconds"] for group in groups for run in group.runs]
    console.print(f"{len(seconds)} runs, {sum(seconds):.0f} s of training")
