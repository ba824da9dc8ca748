"""What the command line prints: tables and fields, coloured on a terminal, plain and unwrapped in a pipe."""

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

from deepcanon.paths import readable as readable


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns under headings, without the empty ones; on a terminal a row is cut at the edge, in a pipe it is whole."""
    kept = [i for i, _ in enumerate(headings) if any(row[i] for row in rows)]
    lines = [[row[i] for i in kept] for row in [headings, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines)]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    for i, cells in enumerate(lines):
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip()
        line = line if len(line) <= room else line[: room - 1] + "…"
        print(dim(line) if i == 0 else style(line[: widths[0]], "1;36") + line[widths[0] :])


def title(text: str) -> None:
    """A line that stands out."""
    print(style(text, "1"), end="\n\n")


def fields(pairs: Sequence[tuple[str, str]], width: int = 98) -> None:
    """Name and value, one under the other; a pair without a value is left out, one without a name continues the one above."""
    pairs = [pair for pair in pairs if pair[1]]
    margin = 2 + max(len(name) for name, _ in pairs)
    for name, value in pairs:
        lines = textwrap.wrap(value, width - margin, break_long_words=False, break_on_hyphens=False)
        print(f"{dim(name.ljust(margin))}{lines[0]}")
        for line in lines[1:]:
            print(" " * margin + line)


def several(name: str, values: Sequence[str]) -> list[tuple[str, str]]:
    """One name with several values, a line each."""
    return [(name if i == 0 else "", value) for i, value in enumerate(values)]


def footer(text: str) -> None:
    """A last line for a reader; nothing in a pipe."""
    if sys.stdout.isatty():
        print(f"\n{dim(text)}")


def dim(text: str) -> str:
    """Faint on a terminal."""
    return style(text, "2")


def style(text: str, code: str) -> str:
    """An ANSI style on a terminal that wants colour."""
    return f"\033[{code}m{text}\033[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def number(value: float) -> str:
    """Four significant digits, thousands and more as whole numbers."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
