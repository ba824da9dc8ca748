"""Reports: one self-contained page about a run or several, and what the terminal shares with it."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.report.classes import classifier_section as classifier_section
    from deepcanon.report.entries import (
        Entry as Entry,
        Group as Group,
        Scale as Scale,
        groups_of as groups_of,
        scales as scales,
        shared_metrics as shared_metrics,
    )
    from deepcanon.report.metrics import explain as explain
    from deepcanon.report.notebook import run_html as run_html
    from deepcanon.report.numbers import duration as duration, holds as holds, mark as mark, number as number
    from deepcanon.report.page import write_report as write_report

attach(__name__)
