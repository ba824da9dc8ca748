"""Several calls under one budget and the same seeds, side by side in the terminal and in one page.

    <root>/comparison.json       the calls, in order: an interrupted comparison goes on where it stopped
    <root>/<call>-seed<n>/       a run folder each
    <root>/report.html
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from deepcanon import catalogue
from deepcanon.engine.checkpoint import read_json, write_json
from deepcanon.engine.run import Run
from deepcanon.engine.run_options import options
from deepcanon.grammar import Resolved, resolve
from deepcanon.report import Group, groups_of, mark, number, scales, write_report
from deepcanon.runs import find_recipe, resume as resume_run

WIDE = 140                                               # columns of a table that no terminal shows
PLAN = "comparison.json"


class Entry(NamedTuple):
    """One call of a comparison."""

    recipe: str
    given: dict[str, Any]
    budget: str = ""

    @property
    def resolved(self) -> Resolved:
        return resolve(catalogue.recipe(self.recipe).form, self.given, self.budget)

    @property
    def name(self) -> str:
        """Its label and the settings that were changed, as a folder's name: gan-ring-hinge-lr0.1."""
        form = catalogue.recipe(self.recipe).form
        changed = [f"{k}{v}" for k, v in self.given.items() if k not in {form.data, "seed", *form.variants}]
        return "-".join([self.resolved.name.replace("/", "-"), *(c.replace("/", "_") for c in changed)])


def compare(names: Sequence[str], values: Mapping[str, Sequence[Any]] | None = None, *, seeds: int = 1, minutes: float | None = None,
            budget: str = "", out: str | Path | None = None) -> Path:
    """Run every call once a seed and write `<out>/report.html`.

    Args:
        names: recipes.
        values: argument -> values; several values of one are several calls: {"objective": ["minimax", "hinge"], "data": ["ring"]}.
        seeds: 0, 1, ... up to this many.
        minutes: one budget for each run, in place of the recipes' own.
        budget: of the presets.
        out: folder of the runs and the report; by default below runs/. One that holds the same comparison is continued.

    Returns:
        the path of the report.

    Raises:
        ValueError: less than two calls, an argument that a recipe lacks, a folder that holds something else.
    """
    entries = calls(names, values or {}, budget)
    if len(entries) < 2:
        raise ValueError("name two methods or more to compare, or several values of one argument")
    if seeds < 1:
        raise ValueError(f"expected 1 seed or more, got {seeds}")
    root = Path(out or Path("runs") / "compare" / time.strftime("%Y%m%d-%H%M%S"))
    plan = {"calls": [list(entry) for entry in entries], "seeds": seeds, "minutes": minutes}
    if is_comparison(root) and read_json(root / PLAN) != plan:
        raise ValueError(f"{root} holds another comparison: name another folder")
    if not is_comparison(root) and root.exists() and any(root.iterdir()):
        raise ValueError(f"{root} is not empty: name another folder for the comparison")
    write_json(root / PLAN, plan)
    return resume(root)


def calls(names: Sequence[str], values: Mapping[str, Sequence[Any]], budget: str = "") -> list[Entry]:
    """Every recipe with every combination of the values."""
    found = [Entry(name, dict(zip(values, chosen)), budget) for name in dict.fromkeys(names) for chosen in itertools.product(*values.values())]
    for entry in found:
        entry.resolved  # noqa: B018 (raises for what the recipe does not have)
    return found


def is_comparison(folder: Path) -> bool:
    """Whether a folder holds a comparison, finished or not."""
    return (Path(folder) / PLAN).exists()


def resume(root: str | Path) -> Path:
    """Run what is missing of a comparison and write its report: finished runs are kept, an interrupted one is resumed."""
    root = Path(root)
    plan = read_json(root / PLAN)
    entries, folders = [Entry(*fields) for fields in plan["calls"]], []
    for i, entry in enumerate(entries):
        for seed in range(plan["seeds"]):
            folders.append(root / f"{entry.name}-seed{seed}")
            say(f"[{i + 1}/{len(entries)}] {entry.name}" + (f", seed {seed}" if plan["seeds"] > 1 else ""))
            if (folders[-1] / "report.html").exists():
                continue
            with options(minutes=plan["minutes"]), continued(root):
                report_line(run_entry(entry, seed, folders[-1]))
            write_report([folders[-1]], folders[-1] / "report.html")
    groups = groups_of(folders)
    print_table(groups)
    return write_report(folders, root / "report.html")


@contextlib.contextmanager
def continued(root: Path) -> Iterator[None]:
    """Inside the block, an interruption says how the whole comparison is continued."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        say(f"continue the comparison with: deepcanon resume {root}")
        raise


def run_entry(entry: Entry, seed: int, folder: Path) -> Run:
    """One run of a comparison, from its start or from its last checkpoint."""
    if (folder / "call.json").exists():
        return resume_run(folder)
    with options(folder=folder):
        return find_recipe(entry.recipe)(**entry.given, seed=seed, budget=entry.budget)


def report_line(run: Run) -> None:
    """One line about a run that has ended."""
    numbers = ", ".join(f"{k} {number(v)}" for k, v in list(run.results.items())[:5])
    say(f"    {numbers}; {run.steps} steps in {run.seconds:.1f} s")


def say(line: str) -> None:
    """A line on stderr."""
    print(line, file=sys.stderr, flush=True)


def print_table(groups: Sequence[Group]) -> None:
    """The results on the terminal: each call's own numbers, then what several calls share on the same data."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else WIDE)
    own = Table(title="Results", title_justify="left")
    for column in ("call", "result", "target"):
        own.add_column(column, overflow="fold")
    for column in ("seconds", "steps/s", "parameters"):
        own.add_column(column, justify="right", overflow="fold")
    for group in groups:
        lines = [(f"{c['name']} {c['value']}", c["target"] and f"{c['target']} {mark(c['holds'])}") for c in group.claims]
        own.add_row(group.name, "\n".join(a for a, _ in lines), "\n".join(b for _, b in lines),
                    f"{group.seconds:.1f}", number(group.rate), f"{group.first.call['parameters']:,}")
    console.print(own)
    for scale in scales(groups):
        same = Table(title=f"On the same data: {scale.data}", title_justify="left")
        for column in ("call", *scale.metrics):
            same.add_column(column, overflow="fold")
        for group in scale.groups:
            same.add_row(group.name, *(group.shown(m) or "-" for m in scale.metrics))
        console.print(same)
    seconds = [run.result["seconds"] for group in groups for run in group.runs]
    console.print(f"{len(seconds)} runs, {sum(seconds):.0f} s of training")
