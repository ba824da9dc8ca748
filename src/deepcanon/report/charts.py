"""Charts as SVG elements of a page: lines over seconds of training, several seeds as their mean and a band.

Colours are custom properties of the page (`--c0` ... `--c7`, `--soft`, `--line`), so that a dark page has dark
charts. Titles and legends are HTML beside the drawing, never over it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from markupsafe import Markup

from deepcanon.report.entries import Curve
from deepcanon.report.numbers import number

COLOURS = 8
DASHES = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
SOFT, LINE = "#0a0cfe", "#0a0cff"  # stand for --soft and --line until the drawing is text; #0a0c00 for --c0
STYLE: dict = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "axes.labelcolor": SOFT,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
}


@dataclass(frozen=True)
class Line:
    """A quantity over seeds: x, their mean, lowest and highest; `index` chooses colour and dashes."""

    name: str
    index: int
    x: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]
    seeds: int

    @property
    def last(self) -> str:
        """The last value."""
        return number(self.mean[-1])


def line(name: str, curves: Sequence[Curve], index: int = 0) -> Line | None:
    """Mean and band of several seeds over the seconds that all have reached; None when there is no point."""
    curves = [(x, y) for x, y in curves if x]
    if not curves:
        return None
    first, last = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    if len(curves) == 1 or first >= last:
        x, y = curves[0]
        return Line(name, index, x, y, y, y, 1)
    grid = sorted({t for x, _ in curves for t in x if first <= t <= last})
    values = numpy.stack([numpy.interp(grid, x, y) for x, y in curves])
    return Line(
        name,
        index,
        grid,
        values.mean(0).tolist(),
        values.min(0).tolist(),
        values.max(0).tolist(),
        len(curves),
    )


def chart(
    lines: Sequence[Line],
    label: str,
    goal: tuple[str, float] | None = None,
    size: tuple[float, float] = (4.4, 2.4),
) -> Markup:
    """The lines as an SVG element whose text alternative says where each begins and ends.

    Args:
        lines: at least one.
        label: what is drawn, for the text alternative.
        goal: sign and bound of a target, drawn as a dotted level.
        size: inches; a page shows it at any width.
    """
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = STYLE | {"svg.hashsalt": label}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        for curve in lines:
            draw(axes, curve)
        axes.set_ylim(*limits(lines, goal))
        if goal:
            axes.axhline(goal[1], color=SOFT, linewidth=1.1, linestyle=(0, (1, 2)))
        axes.set_xlim(left=0)
        axes.set_xlabel("seconds of training")
        axes.locator_params(axis="y", nbins=5)
        axes.locator_params(axis="x", nbins=6)
        figure.savefig(buffer := io.StringIO(), format="svg", transparent=True, metadata={"Date": None})
    return finished(buffer.getvalue(), alternative(lines, label, goal))


def draw(axes, curve: Line) -> None:
    """One line with its band."""
    colour = f"#0a0c{curve.index % COLOURS:02x}"
    marker = "o" if len(curve.x) < 12 else None
    if curve.seeds > 1:
        axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(
        curve.x,
        curve.mean,
        color=colour,
        linewidth=1.8,
        marker=marker,
        markersize=3.5,
        linestyle=dashes(curve.index),
    )


def dashes(index: int):
    """The line style of a series; neighbours have different ones, so that colour alone carries nothing."""
    return DASHES[index % len(DASHES)]


def limits(lines: Sequence[Line], goal: tuple[str, float] | None) -> tuple[float, float]:
    """The range of y: all of it, unless a few early values would dwarf the rest; with the goal."""
    values = numpy.sort(numpy.concatenate([[*curve.low, *curve.high] for curve in lines]))
    low, high = values[0], values[-1]
    if len(values) > 40:
        low, high = values[len(values) // 100], values[-1 - len(values) // 33]
    if goal:
        low, high = min(low, goal[1]), max(high, goal[1])
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def alternative(lines: Sequence[Line], label: str, goal: tuple[str, float] | None) -> str:
    """The chart as text, for those who do not see it."""
    parts = [
        f"{curve.name} goes from {number(curve.mean[0])} to {curve.last} in {number(curve.x[-1])} seconds"
        for curve in lines
    ]
    return f"{label}: " + "; ".join(parts) + (f"; the target is {number(goal[1])}" if goal else "") + "."


def finished(svg: str, words: str) -> Markup:
    """matplotlib's file as an element of the page, with the page's colours and a text alternative."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, count=1, flags=re.DOTALL)
    svg = svg.replace(SOFT, "var(--soft)").replace(LINE, "var(--line)")
    svg = re.sub(r"#0a0c(0[0-7])", lambda m: f"var(--c{int(m[1], 16)})", svg)
    head = Markup('<svg role="img" aria-label="{}"').format(words)
    return head + Markup(svg.removeprefix("<svg"))


def swatch(index: int) -> Markup:
    """A short piece of a series' line, for a legend."""
    style = dashes(index)
    pattern = "" if style == "solid" else f' stroke-dasharray="{" ".join(str(2 * v) for v in style[1])}"'
    return Markup(
        f'<svg class="swatch" viewBox="0 0 26 8" aria-hidden="true"><path d="M0 4H26" '
        f'style="stroke: var(--c{index % COLOURS})" '
        f'stroke-width="3.4"{pattern}/></svg>'
    )
