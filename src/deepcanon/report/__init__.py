"""Reports: one self-contained page about a run or several, and what the terminal shares with it."""

from deepcanon.report.classes import classifier_section
from deepcanon.report.entries import Entry, Group, Scale, groups_of, scales, shared_metrics
from deepcanon.report.metrics import explain
from deepcanon.report.notebook import run_html
from deepcanon.report.numbers import duration, holds, mark, number
from deepcanon.report.page import write_report

__all__ = [
    "Entry",
    "Group",
    "Scale",
    "classifier_section",
    "duration",
    "explain",
    "groups_of",
    "holds",
    "mark",
    "number",
    "run_html",
    "scales",
    "shared_metrics",
    "write_report",
]
