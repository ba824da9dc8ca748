"""A run as a notebook shows it: its results, each explained in a phrase, and the way to its report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from deepcanon.report.metrics import explain
from deepcanon.report.numbers import duration, number

CELL = 'style="text-align:left;padding:.2em .9em .2em 0"'


def run_html(run: Any) -> str:
    """A small table of a Run's results, with a link to `report.html` where there is one."""
    evaluated = {
        column.removeprefix("eval/") for row in run.history for column in row if column.startswith("eval/")
    }
    rows = Markup("").join(
        Markup(
            f'<tr><th scope="row" {CELL}>{{}}</th><td {CELL}>{{}} {{}}</td><td {CELL}>{{}}</td></tr>'
        ).format(name, number(value), explain(name).arrow if name in evaluated else "", explain(name).text)
        for name, value in run.results.items()
    )
    head = Markup("<p><strong>{}</strong>: {:,} steps in {}</p>").format(
        type(run.method).__name__, run.steps, duration(run.seconds)
    )
    return str(head + Markup("<table>{}</table>").format(rows) + place(run.folder))


def place(folder: Path | None) -> Markup:
    """Where the run lies; a link to its report where there is one."""
    if folder is None:
        return Markup("")
    report = Path(folder) / "report.html"
    if not report.exists():
        return Markup("<p>{}</p>").format(folder)
    return Markup('<p><a href="{}">report</a> in {}</p>').format(quote(os.path.relpath(report)), folder)
