"""Proof of a recipe: run it over several seeds, compare the mean with its target, and keep the record.

    results/<recipe>/<label>.json    each seed's numbers and seconds, mean, 95 % interval, target, published value,
                                     command, hardware, versions, commit

The interval is mean +- t_{0.975, n-1} s / sqrt(n), Student's, over the n seeds.
"""

from __future__ import annotations

import math
import shlex
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepcanon import catalogue
from deepcanon.commands import train_words
from deepcanon.engine.checkpoint import read_json, write_bytes, write_json
from deepcanon.engine.folder import last_stage, new_folder
from deepcanon.engine.record import as_json, as_markdown, read_call
from deepcanon.engine.run_options import options
from deepcanon.grammar import Resolved, resolve
from deepcanon.launching import Job, say
from deepcanon.report import mark, number, write_report
from deepcanon.runs import find_recipe, resume


def prove(name: str, seeds: int | Sequence[int] = 3, *, out: str | Path = "results", folder: str | Path | None = None, budget: str = "",
          **given: Any) -> dict:
    """Run a call once a seed and write `<out>/<recipe>/<label>.json`.

    Args:
        name: the recipe.
        seeds: how many (0, 1, ...), or which.
        out: folder of the records.
        folder: where the runs are kept; by default below runs/. Finished runs of the call that lie there are
            not made again, those that have begun are resumed.
        budget: of the presets.
        given: data and variants; anything else would change the call that the target was set for.

    Returns:
        the record; its "passed" tells whether every target holds, "in_time" whether the runs took no longer than allowed.

    Raises:
        ValueError: no seed, or a setting that is neither data nor a variant.
    """
    call = called(name, given, budget)
    jobs = jobs_of(call, seeds, Path(folder) if folder else new_folder(f"prove/{name}"))
    for job in jobs:
        job.check()
    runs = [{"seed": job.seed, **measured_run(job)} for job in jobs]
    record = summary(call, runs, read_call(jobs[0].folder))
    write_json(Path(out) / f"{call.name}.json", record)
    return record


def called(name: str, given: dict[str, Any], budget: str = "") -> Resolved:
    """The call that is proven.

    Raises:
        ValueError: a setting that is neither data nor a variant.
    """
    form = catalogue.recipe(name).form
    if changed := sorted(given.keys() - {form.data, *form.variants}):
        raise ValueError("a proof is of a call that the recipe states: data, variant and budget may be "
                         f"chosen, not {changed[0]}")
    return resolve(form, given, budget)


def jobs_of(call: Resolved, seeds: int | Sequence[int], root: Path) -> list[Job]:
    """The runs of a proof, a folder each.

    Raises:
        ValueError: no seed.
    """
    seeds = range(seeds) if isinstance(seeds, int) else seeds
    if not len(seeds):
        raise ValueError("expected one seed or more")
    return [Job(f"{call.name}, seed {seed}", call, seed, root / f"seed{seed}") for seed in seeds]


def measured_run(job: Job) -> dict:
    """One run's numbers and seconds: made here, or read from the folder of a run that is finished."""
    took = {}
    if not job.finished:
        began, work = time.perf_counter(), time.process_time()
        if job.begun:
            resume(job.folder)
        else:
            with options(folder=job.folder):
                find_recipe(job.call.recipe)(**job.call.given, seed=job.seed, budget=job.call.budget)
            wall, cpu = time.perf_counter() - began, time.process_time() - work
            took = {"wall_seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)}
            write_report([job.folder], job.folder / "report.html")
    result = read_json(last_stage(job.folder) / "result.json")
    reached = result["results"]
    shown = ", ".join(f"{k} {number(reached[k])}" for k in job.call.target if k in reached)
    say(f"{job.name}: {shown} in {result['seconds']:.1f} s")
    return {"results": reached, "seconds": round(result["seconds"], 2), **took}


def summary(call: Resolved, runs: Sequence[dict], made: dict) -> dict:
    """The record of a proof; `made` is the record of a run, which says where and with what it was made."""
    means = {k: interval([r["results"][k] for r in runs]) for k in runs[0]["results"]}
    given = {name: as_json(value) for name, value in call.given.items()}
    seconds = statistics.mean(r["seconds"] for r in runs)
    targets = {}
    for k, bound in call.target.items():
        measured = means.get(k, {}).get("mean")
        targets[k] = {"bound": str(bound), "measured": measured, "holds": bound.holds(measured)}
    return {
        "recipe": call.recipe, "label": call.label, "passed": all(t["holds"] for t in targets.values()), "target": targets, "expect": call.expect,
        "seconds": round(seconds, 2), "seconds_allowed": call.seconds, "in_time": call.seconds is None or seconds <= call.seconds,
        "summary": means, "runs": list(runs), "published": call.published, "source": call.source, "paper": catalogue.recipe(call.recipe).paper,
        "command": shlex.join(train_words(call.recipe, given, call.budget, "prove", seeds=len(runs))),
        "date": time.strftime("%Y-%m-%d"), "versions": made["versions"], "commit": made["commit"],
        "hardware": made["hardware"],
    }


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean and 95 % interval of the mean (Student's t); no interval for a single value."""
    mean = statistics.mean(values)
    if len(values) == 1:
        return {"mean": mean}
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def records(folder: Path) -> list[dict]:
    """The records of proofs in a folder, by name."""
    found = [read_json(file) for file in sorted(Path(folder).glob("*/*.json")) if file.parent.name not in ("benchmarks", "claims")]
    return [record for record in found if "label" in record and "summary" in record]


def table(folder: Path, only: Sequence[str] = ()) -> str:
    """The proofs in a folder as a Markdown table, one row a call; `only` names the calls of a shorter one."""
    every = {f"{r['recipe']}/{r['label']}": r for r in records(folder)}
    if missing := [name for name in only if name not in every]:
        raise ValueError(f"there is no record of {missing[0]} in {folder}")
    rows = ["| call | measured (95 % interval), target | published | seeds | seconds | hardware |", "| --- | --- | --- | --- | --- | --- |"]
    for name in only or every:
        record = every[name]
        published = "; ".join(f"{k} {v:g}" for k, v in record["published"].items())
        allowed, seconds = record["seconds_allowed"], f"{record['seconds']:.0f}"
        seconds += f", <= {allowed:g} {mark(record['in_time'])}" if allowed else ""
        cells = (name, measured(record), published, len(record["runs"]), seconds, record["hardware"])
        rows.append("| " + " | ".join(as_markdown(str(cell)) for cell in cells) + " |")
    return "\n".join(rows)


def measured(record: dict) -> str:
    """Every targeted number beside its target; without targets, what was measured and what was expected."""
    phrases = []
    for k, target in record["target"].items():
        s = record["summary"].get(k)
        spread = f" ({number(s['low'])} to {number(s['high'])})" if s and "low" in s else ""
        phrases.append(f"{k} {number(s['mean']) if s else 'missing'}{spread}, {target['bound']} {mark(target['holds'])}")
    if phrases:
        return "; ".join(phrases)
    first = ", ".join(f"{k} {number(s['mean'])}" for k, s in list(record["summary"].items())[:4])
    return f"{first}. Expected: {record['expect']}" if record.get("expect") else first


PAGE = """# Results

Every number below was measured by `deepcanon prove`, which re-runs it; the records are in `results/<method>/<data>.json`.
Mean over the seeds, with the 95 % interval of the mean; seconds are of the wall clock, on a machine that other work may
have shared. This page is written by `python -m deepcanon.proofs`.

"""
DOZEN = ("lenet/mnist", "resnet/cifar10", "faster_rcnn/bccd", "vae/mnist", "iwae/mnist", "gan/mnist-relativistic",
         "glow/mnist", "pixelcnn/mnist", "score_sde/fashion", "byol/fashion", "gpt/tinyshakespeare",
         "dqn/CartPole-v1", "sac/Pendulum-v1")
START, END = "<!-- results: written by `python -m deepcanon.proofs` -->\n", "<!-- end of results -->"


def write_pages(root: Path = Path(), folder: Path = Path("results")) -> None:
    """docs/results.md with every proof, and a dozen of them between the two marks of README.md."""
    write_bytes(root / "docs" / "results.md", (PAGE + table(folder) + "\n").encode())
    before, start, rest = (root / "README.md").read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"{root / 'README.md'} has no place for the results")
    write_bytes(root / "README.md", (before + start + table(folder, DOZEN) + "\n" + end + after).encode())


if __name__ == "__main__":
    write_pages()
