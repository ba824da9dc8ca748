"""Several calls under one budget and the same seeds, side by side in the terminal and in one page.

    <root>/comparison.json       the calls, in order: an interrupted comparison goes on where it stopped
    <root>/<call>-seed<n>/       a run folder each
    <root>/report.html

The runs are made in this process, one after the other, or as commands of their own (`deepcanon.launching`).
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from deepcanon import catalogue
from deepcanon.commands import resume_line
from deepcanon.engine.checkpoint import read_json, write_json
from deepcanon.engine.folder import new_folder
from deepcanon.engine.run import Run
from deepcanon.engine.run_options import options
from deepcanon.grammar import Resolved, resolve
from deepcanon.launching import Job, launch, launcher_words, say
from deepcanon.report import Group, groups_of, mark, number, scales, write_report
from deepcanon.runs import resume as resume_run, train

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
            budget: str = "", out: str | Path | None = None, launcher: str | None = None, jobs: int = 1,
            device: str | None = None) -> Path:
    """Run every call once a seed and write `<out>/report.html`.

    Args:
        names: recipes.
        values: argument -> values; several values of one are several calls: {"objective": ["minimax", "hinge"], "data": ["ring"]}.
        seeds: 0, 1, ... up to this many.
        minutes: one budget for each run, in place of the recipes' own.
        budget: of the presets.
        out: folder of the runs and the report; by default below runs/. One that holds the same comparison, or
            runs of it, is continued.
        launcher: words before the command of each run, such as "srun -n1".
        jobs: runs at once; with more than one, or with a launcher, each run is a command of its own.
        device: of these commands.

    Returns:
        the path of the report.

    Raises:
        ValueError: less than two calls, an argument that a recipe lacks, a folder that holds something else,
            a command that has failed.
    """
    plan = planned(names, values, seeds, minutes, budget)
    root = Path(out) if out else new_folder("compare")
    made = jobs_of(plan, root)
    if is_comparison(root) and read_plan(root) != plan:
        raise ValueError(f"{root} holds another comparison: name another folder")
    own = {name for job in made for name in (job.folder.name, f"{job.folder.name}.log")}
    if not is_comparison(root) and root.is_dir() and any(path.name not in own for path in root.iterdir()):
        raise ValueError(f"{root} is not empty: name another folder for the comparison")
    words = launcher_words(launcher)
    write_json(root / PLAN, plan)
    if launcher is not None or jobs > 1:
        with continued(root):
            failed = launch(made, words, jobs, device)
        if failed:
            lost = ", ".join(job.name for job in failed)
            raise ValueError(f"{len(failed)} of {len(made)} runs failed: {lost}; the others are kept, the "
                             "same command runs these again")
    return resume(root)


def planned(names: Sequence[str], values: Mapping[str, Sequence[Any]] | None = None, seeds: int = 1,
            minutes: float | None = None, budget: str = "") -> dict:
    """What is compared, as comparison.json keeps it.

    Raises:
        ValueError: less than two calls, no seed, no time, or an argument that a recipe lacks.
    """
    entries = calls(names, values or {}, budget)
    if len(entries) < 2:
        raise ValueError("name two methods or more to compare, or several values of one argument")
    if "seed" in (values or {}):
        raise ValueError("the seeds of a comparison are 0, 1, ...: give their number as seeds, not a seed")
    if seeds < 1:
        raise ValueError(f"expected 1 seed or more, got {seeds}")
    if minutes is not None and not minutes > 0:
        raise ValueError(f"expected minutes above 0, got {minutes}")
    return {"calls": [list(entry) for entry in entries], "seeds": seeds, "minutes": minutes}


def jobs_of(plan: dict, root: Path) -> list[Job]:
    """The runs of a comparison in order, a folder each; calls of one name, as of two folders of one name, are
    numbered."""
    jobs, seen = [], Counter()
    for entry in (Entry(*fields) for fields in plan["calls"]):
        seen[entry.name] += 1
        name = entry.name if seen[entry.name] == 1 else f"{entry.name}-{seen[entry.name]}"
        for seed in range(plan["seeds"]):
            shown = f"{name}, seed {seed}" if plan["seeds"] > 1 else name
            jobs.append(Job(shown, entry.resolved, seed, root / f"{name}-seed{seed}", plan["minutes"]))
    return jobs


def read_plan(root: Path) -> dict:
    """comparison.json; a ValueError if it is not the plan of a comparison."""
    plan = read_json(root / PLAN)
    if not (isinstance(plan, dict) and plan.keys() == {"calls", "seeds", "minutes"}
            and isinstance(plan["calls"], list) and isinstance(plan["seeds"], int)
            and isinstance(plan["minutes"], float | int | None)
            and all(isinstance(c, list) and [*map(type, c)] == [str, dict, str] for c in plan["calls"])):
        raise ValueError(f"{root / PLAN} is not the plan of a comparison")
    return plan


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
    jobs = jobs_of(read_plan(root), root)
    for job in jobs:
        job.check()
    for i, job in enumerate(jobs):
        say(f"[{i + 1}/{len(jobs)}] {job.name}")
        if not job.finished:
            with options(minutes=job.minutes), continued(root):
                report_line(run_job(job))
    folders = [job.folder for job in jobs]
    groups = groups_of(folders)
    print_table(groups)
    return write_report(folders, root / "report.html")


@contextlib.contextmanager
def continued(root: Path) -> Iterator[None]:
    """Inside the block, an interruption says how the whole comparison is continued."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        say(f"continue the comparison with: {resume_line(root)}")
        raise


def run_job(job: Job) -> Run:
    """One run in this process, from its start or from its last checkpoint, with its report."""
    if job.begun:
        return resume_run(job.folder)
    with options(folder=job.folder):
        return train(job.call.recipe, job.call.given | {"seed": job.seed}, job.call.budget)


def report_line(run: Run) -> None:
    """One line about a run that has ended."""
    numbers = ", ".join(f"{k} {number(v)}" for k, v in list(run.results.items())[:5])
    say(f"    {numbers}; {run.steps} steps in {run.seconds:.1f} s")


def print_table(groups: Sequence[Group]) -> None:
    """The results on the terminal: each call's own numbers, then what several calls share on the same data."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else WIDE, markup=False)
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
