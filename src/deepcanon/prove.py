"""Proof of a recipe: run it over several seeds, compare the mean with its target, and keep the record.

    results/<recipe>.json    each seed's numbers and seconds, mean, 95 % interval, target, published value, command, hardware, versions, commit

The interval is mean +- t_{0.975, n-1} s / sqrt(n), Student's, over the n seeds.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deepcanon import catalogue
from deepcanon.engine.checkpoint import read_json, write_bytes, write_json
from deepcanon.engine.options import options
from deepcanon.engine.record import environment
from deepcanon.report import holds, mark, number
from deepcanon.runs import find_recipe


def prove(name: str, seeds: int | Sequence[int] = 3, out: str | Path = "results", folder: str | Path | None = None, **arguments) -> dict:
    """Run the recipe once a seed and write `<out>/<name>.json`.

    Args:
        name: the recipe.
        seeds: how many (0, 1, ...), or which.
        out: folder of the records.
        folder: where the runs are kept; by default below runs/.
        arguments: of the recipe, where they differ from its defaults.

    Returns:
        the record; its "passed" tells whether every target holds and the runs took no longer than allowed.
    """
    seeds = range(seeds) if isinstance(seeds, int) else seeds
    if not len(seeds):
        raise ValueError("expected one seed or more")
    about, function = catalogue.recipe(name), find_recipe(name)
    root = Path(folder or Path("runs") / f"prove-{name}" / time.strftime("%Y%m%d-%H%M%S"))
    runs = []
    for seed in seeds:
        began, work = time.perf_counter(), time.process_time()
        with options(folder=root / f"seed{seed}"):
            run = function(**arguments, seed=seed)
        wall, cpu = time.perf_counter() - began, time.process_time() - work
        times = {"seconds": round(run.seconds, 2), "wall_seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)}
        runs.append({"seed": seed, "results": run.results} | times)
        shown = ", ".join(f"{k} {number(run.results[k])}" for k, _, _ in about.target if k in run.results)
        print(f"{name} seed {seed}: {shown} in {run.seconds:.1f} s", file=sys.stderr, flush=True)
    summary = {k: interval([r["results"][k] for r in runs]) for k in runs[0]["results"]}
    seconds = statistics.mean(r["seconds"] for r in runs)
    means = {k: s["mean"] for k, s in summary.items()}
    targets = {k: {"bound": f"{sign} {bound:g}", "measured": means.get(k), "holds": holds(means.get(k), sign, bound)}
               for k, sign, bound in about.target}
    record = {
        "recipe": name, "arguments": arguments, "passed": all(t["holds"] for t in targets.values()), "target": targets,
        "seconds": round(seconds, 2), "seconds_allowed": about.seconds, "in_time": about.seconds is None or seconds <= about.seconds,
        "summary": summary, "runs": runs, "published": about.published, "source": about.source, "paper": about.paper,
        "command": f"deepcanon prove {name} --seeds {len(seeds)}", "date": time.strftime("%Y-%m-%d"), **environment(),
    }
    write_json(Path(out) / f"{name}.json", record)
    return record


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean and 95 % interval of the mean (Student's t); no interval for a single value."""
    mean = statistics.mean(values)
    if len(values) == 1:
        return {"mean": mean}
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def table(folder: Path) -> str:
    """The proofs in a folder as a Markdown table, one row a recipe."""
    rows = ["| recipe | measured (95 % interval), target | published | seeds | seconds | hardware |", "| --- | --- | --- | --- | --- | --- |"]
    for file in sorted(Path(folder).glob("*.json")):
        record = read_json(file)
        if "summary" not in record:
            continue
        measured, published = [], []
        for k, target in record["target"].items():
            s = record["summary"][k]
            spread = f" ({number(s['low'])} to {number(s['high'])})" if "low" in s else ""
            measured.append(f"{k} {number(s['mean'])}{spread}, {target['bound']} {mark(target['holds'])}")
            published += [f"{k} {record['published'][k]:g}"] if k in record["published"] else []
        allowed, seconds = record["seconds_allowed"], f"{record['seconds']:.0f}"
        seconds += f", <= {allowed:g} {mark(record['in_time'])}" if allowed else ""
        cells = (record["recipe"], "; ".join(measured), "; ".join(published), len(record["runs"]), seconds, record["hardware"])
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def write_table(page: Path = Path("README.md"), folder: Path = Path("results")) -> None:
    """Put the table of the proofs between the two marks of a Markdown page."""
    text = page.read_text(encoding="utf-8")
    before, start, rest = text.partition("<!-- results: written by `python -m deepcanon.prove` -->\n")
    _, end, after = rest.partition("<!-- end of results -->")
    if not (start and end):
        raise ValueError(f"{page} has no place for the results")
    write_bytes(page, (before + start + table(folder) + "\n" + end + after).encode())


if __name__ == "__main__":
    write_table()
