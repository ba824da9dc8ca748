"""The page about one run or several: results, curves, pictures, confusions, settings, sources.

Everything is read from run folders; pictures, drawings and styles are embedded, so that the file can be sent
to a colleague as it is. No script runs in it, and what a folder says is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from deepcanon.engine.checkpoint import write_bytes
from deepcanon.report.charts import Line, chart, line, swatch
from deepcanon.report.classes import Classes, classifier_section
from deepcanon.report.data import DataInfo, data_of
from deepcanon.report.entries import Group, Scale, groups_of, scales
from deepcanon.report.metrics import explain
from deepcanon.report.numbers import duration, mark, number
from deepcanon.report.pictures import Sample, class_numbers, evaluated, samples

CURVES, LOSSES = 6, 4  # drawn of one run at most


@dataclass(frozen=True)
class Chart:
    """A drawing with its title, its legend and its note."""

    title: str
    drawing: Markup
    lines: list[Line]
    note: str = ""


@dataclass
class Section:
    """Everything that the page shows of one group."""

    group: Group
    evaluation: list[Chart]
    training: Chart | None
    samples: list[Sample]
    earlier: list[Sample]
    classes: Classes | None
    looked_at: list[Sample]
    class_numbers: list[list[str]]
    data: list[DataInfo]


def write_report(folders: Sequence[Path], path: Path, title: str | None = None) -> Path:
    """The page about the runs in `folders`, written to `path`.

    Args:
        folders: run folders; those whose calls differ in the seed alone are shown together.
        path: of the page.
        title: in place of the names of the calls.

    Returns:
        `path`.

    Raises:
        ValueError: no folder, one that is no run folder, or a run that is not finished.
    """
    if not folders:
        raise ValueError("name a run folder or more to report on")
    import jinja2

    groups = groups_of(folders)
    shared = scales(groups)
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("page.html.jinja").render(
        title=title or heading(groups),
        style=Markup((Path(__file__).parent / "page.css").read_text(encoding="utf-8")),
        sections=(sections := [section(group) for group in groups]),
        galleries=galleries(sections),
        scales=[(s, shared_charts(s)) for s in shared],
        surroundings=surroundings(groups),
        explain=explain,
        number=number,
        mark=mark,
        duration=duration,
        swatch=swatch,
    )
    write_bytes(path, page.lstrip().encode())
    return path


def section(group: Group) -> Section:
    """What is shown of one group; pictures and predictions are those of its first seed."""
    last = group.first.last
    shown, earlier = samples(last)
    charts = [c for name in group.evaluated if (c := evaluation_chart(group, name))]
    found = [c for folder in (last, group.first.folder) if (c := classifier_section(folder))]
    return Section(
        group,
        charts[:CURVES],
        training_chart(group),
        shown,
        earlier,
        found[0] if found else None,
        evaluated(last),
        class_numbers(last),
        data_of(group.call),
    )


def galleries(sections: Sequence[Section]) -> list[list[Sample]]:
    """For each data set, real data once and the last samples of every method that was trained on it."""
    by_data: dict[tuple[str, ...], list[Section]] = {}
    for s in sections:
        by_data.setdefault(s.group.first.data_key, []).append(s)
    found = []
    for members in by_data.values():
        real = [x for s in members for x in s.samples if x.caption == "real"][:1]
        found.append(
            real
            + [replace(x, caption=s.group.name) for s in members for x in s.samples if x.caption == "made"]
        )
    return [gallery for gallery in found if gallery]


def heading(groups: Sequence[Group]) -> str:
    """The name of one call; of several, their recipes on the data that they share, or their names."""
    recipes, data = zip(*(g.name.partition("/")[::2] for g in groups))
    if len(groups) > 1 and data[0] and len(set(data)) == 1:
        return f"{', '.join(recipes)} on {data[0]}"
    return ", ".join(g.name for g in groups)


def evaluation_chart(group: Group, metric: str) -> Chart | None:
    """An evaluated number over the run, with its target; None where it was evaluated at the end only."""
    curve = line(metric, [run.curve(f"eval/{metric}") for run in group.runs], group.index)
    if curve is None or len(curve.x) < 2:
        return None
    drawing = chart([curve], metric, goal=group.target.get(metric))
    return Chart(
        metric, drawing, [curve], seeds_note(curve, "the target is dotted" if metric in group.target else "")
    )


def training_chart(group: Group) -> Chart | None:
    """What was minimised, over the run."""
    names = group.first.losses[:LOSSES]
    curves = [
        c
        for i, name in enumerate(names)
        if (c := line(name, [run.curve(name) for run in group.runs], group.index + i))
    ]
    curves = [c for c in curves if len(c.x) > 1]
    if not curves:
        return None
    title = "training loss" if len(names) == 1 else "training losses"
    return Chart(title, chart(curves, title), curves, seeds_note(curves[0]))


def shared_charts(scale: Scale) -> list[Chart]:
    """One chart for each number that several groups evaluated during training on the same data."""
    charts = []
    for metric in scale.metrics:
        curves = [
            c
            for g in scale.groups
            if (c := line(g.name, [r.curve(f"eval/{metric}") for r in g.runs], g.index)) and len(c.x) > 1
        ]
        if len(curves) > 1:
            charts.append(
                Chart(metric, chart(curves, metric), curves, seeds_note(max(curves, key=lambda c: c.seeds)))
            )
    return charts


def seeds_note(curve: Line, more: str = "") -> str:
    """How several seeds are drawn, as text."""
    parts = (
        [
            f"mean of {curve.seeds} seeds, up to the time that all have reached; "
            "the band is from the lowest to the highest"
        ]
        if curve.seeds > 1
        else []
    )
    return "; ".join(parts + ([more] if more else []))


def surroundings(groups: Sequence[Group]) -> list[str]:
    """When, on what and with what the runs were made; each value once."""
    calls = [run.call for group in groups for run in group.runs]
    said = [
        [c.get("started", "")[:10] for c in calls],
        [c.get("hardware", "") for c in calls],
        [", ".join(f"{k} {v}" for k, v in c.get("versions", {}).items()) for c in calls],
        [f"commit {c['commit']}" if c.get("commit") else "" for c in calls],
    ]
    return [" / ".join(dict.fromkeys(v for v in values if v)) for values in said if any(values)]
