"""One self-contained HTML page about one run or several: results against their targets, curves, samples, seconds.

Everything is read from run folders; pictures and curves are embedded, so that the file can be sent to a colleague as it is.
"""

from __future__ import annotations

import base64
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deepcanon import catalogue
from deepcanon.engine.checkpoint import read_json, write_bytes
from deepcanon.engine.run import last_stage, read_call

SIGNS = {">=": "≥", "<=": "≤"}
COLOURS = ("#3b6fb6", "#c8553d", "#4a9c6d", "#8a5aa8", "#b8862b", "#3a9fa8", "#a84a6d", "#6b7280")
WEB_SAFE: dict = {"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
            "axes.edgecolor": "#9aa1ab", "xtick.color": "#5b6470", "ytick.color": "#5b6470", "axes.labelcolor": "#5b6470", "axes.grid": True,
            "grid.color": "#e8eaee", "grid.linewidth": 0.8, "axes.axisbelow": True, "svg.hashsalt": "deepcanon"}


@dataclass
class Entry:
    """One finished run, as its folder tells it."""

    folder: Path

    @cached_property
    def call(self) -> dict:
        return read_call(self.folder)

    @cached_property
    def result(self) -> dict:
        path = last_stage(self.folder) / "result.json"
        if not path.exists():
            raise ValueError(f"{self.folder} is not finished: it has no result.json")
        return read_json(path)

    @cached_property
    def history(self) -> list[dict[str, float]]:
        import csv

        with open(last_stage(self.folder) / "metrics.csv", newline="") as file:
            return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]

    @property
    def name(self) -> str:
        return self.call["recipe"]

    @property
    def results(self) -> dict[str, float]:
        return self.result["results"]

    @cached_property
    def evaluated(self) -> list[str]:
        """Names of the numbers that were evaluated, not trained on."""
        return list(dict.fromkeys(k.removeprefix("eval/") for row in self.history for k in row if k.startswith("eval/")))

    def curve(self, column: str) -> tuple[list[float], list[float]]:
        """Seconds and values of a column of metrics.csv."""
        rows = [row for row in self.history if column in row]
        return [row["seconds"] for row in rows], [row[column] for row in rows]

    @cached_property
    def losses(self) -> list[str]:
        """The columns that were minimised."""
        columns = dict.fromkeys(k for row in self.history for k in row)
        return [k for k in columns if "/" not in k and k not in ("step", "seconds")][:4]

    @cached_property
    def sample(self) -> dict[str, str] | None:
        """The last samples: {"picture": data URL} or {"text": ...}."""
        files = sorted((last_stage(self.folder) / "samples").glob("[0-9]*")) if (last_stage(self.folder) / "samples").is_dir() else []
        if not files:
            return None
        if files[-1].suffix == ".txt":
            return {"text": files[-1].read_text(encoding="utf-8")[:1200]}
        return {"picture": "data:image/png;base64," + base64.b64encode(files[-1].read_bytes()).decode()}

    @property
    def command(self) -> str:
        flags = "".join(f" --{k.replace('_', '-')} {v}" if not isinstance(v, bool) else f" --{'' if v else 'no-'}{k.replace('_', '-')}"
                        for k, v in self.call["arguments"].items() if v is not None)
        return f"deepcanon train {self.name}{flags}"


@dataclass
class Group:
    """The runs of one recipe, one a seed."""

    runs: list[Entry]
    colour: str

    @property
    def first(self) -> Entry:
        return self.runs[0]

    @property
    def name(self) -> str:
        return self.first.name

    @cached_property
    def about(self) -> catalogue.RecipeInfo | None:
        return catalogue.recipes().get(self.name)

    @property
    def seconds(self) -> float:
        return statistics.mean(run.result["seconds"] for run in self.runs)

    @property
    def rate(self) -> float:
        return statistics.mean(run.result["steps"] / max(run.result["seconds"], 1e-9) for run in self.runs)

    def mean(self, metric: str) -> float | None:
        values = [run.results[metric] for run in self.runs if metric in run.results]
        return statistics.mean(values) if values else None

    def shown(self, metric: str) -> str:
        """Mean over the seeds, with the standard deviation when there are several; of bits/dim whether they are exact, a bound or an estimate."""
        values = [run.results[metric] for run in self.runs if metric in run.results]
        if not values:
            return ""
        spread = f" ± {number(statistics.stdev(values))}" if len(values) > 1 else ""
        kind = self.first.call.get("likelihood") if metric == "bits_per_dim" else None
        return number(statistics.mean(values)) + spread + (f" ({kind})" if kind else "")

    @cached_property
    def claims(self) -> list[dict]:
        """One entry a targeted number: its value, its target, whether it holds; without targets the evaluated numbers."""
        target = self.about.target if self.about else ()
        if not target:
            return [{"name": k, "value": self.shown(k), "target": "", "holds": None} for k in self.first.evaluated[:4]]
        return [{"name": k, "value": self.shown(k) or "missing", "target": f"{SIGNS[sign]} {number(bound)}",
                 "holds": holds(self.mean(k), sign, bound)} for k, sign, bound in target]

    @cached_property
    def chart(self) -> str:
        """The losses of every seed."""
        columns = self.first.losses
        series = [(column, run.curve(column), colour) for column, colour in zip(columns, (self.colour, *COLOURS[4:])) for run in self.runs]
        return chart(series, "training loss" if columns == ["loss"] else "training losses", legend=columns != ["loss"], size=(4.6, 2.1))


def holds(value: float | None, sign: str, bound: float) -> bool:
    """Whether a measured value is ">=" or "<=" its bound."""
    return value is not None and (value >= bound if sign == ">=" else value <= bound)


def mark(good: bool) -> str:
    """Whether a target is met, in one character."""
    return "✓" if good else "✗"


def number(value: float) -> str:
    """Four significant digits, without an exponent where that is readable."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def groups_of(folders: Sequence[Path]) -> list[Group]:
    """The runs by recipe, in the order given."""
    runs: dict[str, list[Entry]] = {}
    for folder in folders:
        entry = Entry(Path(folder))
        runs.setdefault(entry.name, []).append(entry)
    return [Group(entries, COLOURS[i % len(COLOURS)]) for i, entries in enumerate(runs.values())]


def shared_metrics(groups: Sequence[Group]) -> list[str]:
    """Evaluated numbers that two recipes or more have in common, on the same data."""
    measured = [(name, *group.first.call["data"]) for group in groups for name in group.first.evaluated]
    return list(dict.fromkeys(key[0] for key in measured if measured.count(key) > 1))


Series = tuple[str, tuple[list[float], list[float]], str]


def chart(series: Sequence[Series], title: str, legend: bool = True, size: tuple[float, float] = (5.6, 2.6)) -> str:
    """Lines (label, (seconds, values), colour) as an SVG element; equal labels share one entry of the legend."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(WEB_SAFE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        labelled = set()
        for label, (x, y), colour in series:
            marker, name = "o" if len(x) < 12 else None, None if label in labelled else label
            axes.plot(x, y, color=colour, linewidth=1.6, marker=marker, markersize=3.5, label=name)
            labelled.add(label)
        values = sorted(v for _, (_, y), _ in series for v in y)
        if len(values) > 20 and (low := values[len(values) // 100]) < (high := values[-1 - len(values) // 33]):
            axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))      # the first steps would dwarf the rest
        axes.set_xlabel("seconds of training")
        axes.set_title(title, loc="left", fontsize=9.5, color="#2b313a")
        if legend and len(labelled) > 1:
            axes.legend(frameon=False, fontsize=8)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def write_report(folders: Sequence[Path], path: Path, title: str | None = None) -> Path:
    """The page about the runs in `folders`, at `path`."""
    import jinja2

    groups = groups_of(folders)
    shared = shared_metrics(groups)
    curves = [chart([(g.name, run.curve(f"eval/{m}"), g.colour) for g in groups for run in g.runs if m in run.evaluated], m)
              for m in shared if any(len(g.first.curve(f"eval/{m}")[0]) > 1 for g in groups)]
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.get_template("report.html.jinja").render(
        title=title or (groups[0].name if len(groups) == 1 else "Comparison of " + ", ".join(g.name for g in groups)),
        groups=groups, shared=shared, curves=curves, number=number, mark=mark, call=groups[0].first.call)
    write_bytes(path, page.encode())
    return path
