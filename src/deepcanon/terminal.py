"""What the command line prints: tables and facts, coloured on a terminal, plain and unwrapped in a pipe."""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns under headings; empty columns are left out."""
    kept = [i for i, _ in enumerate(headings) if any(row[i] for row in rows)]
    headings, rows = [headings[i] for i in kept], [[row[i] for i in kept] for row in rows]
    if sys.stdout.isatty():
        rich_table(headings, rows)
        return
    widths = [max(len(row[i]) for row in [headings, *rows]) for i, _ in enumerate(headings)]
    for row in [headings, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def rich_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The same for a reader, a line each: the last column takes the room that is left and is cut there."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for i, heading in enumerate(headings):
        width = None if i == len(headings) - 1 else max(len(row[i]) for row in [headings, *rows])
        shown.add_column(heading, style="bold cyan" if i == 0 else "", no_wrap=True, overflow="ellipsis", min_width=width)
    for row in rows:
        shown.add_row(*map(Text, row))
    Console(highlight=False).print(shown)


def title(text: str) -> None:
    """A line that stands out."""
    print(f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text, end="\n\n")


def facts(pairs: Sequence[tuple[str, str]], width: int = 98) -> None:
    """Name and value, one under the other; a pair without a value is left out, one without a name goes on with the fact above."""
    pairs = [pair for pair in pairs if pair[1]]
    margin = 2 + max(len(name) for name, _ in pairs)
    for name, value in pairs:
        lines = textwrap.wrap(value, width - margin, break_long_words=False, break_on_hyphens=False)
        print(f"{dim(name.ljust(margin))}{lines[0]}")
        for line in lines[1:]:
            print(" " * margin + line)


def several(name: str, values: Sequence[str]) -> list[tuple[str, str]]:
    """A fact with several values, a line each."""
    return [(name if i == 0 else "", value) for i, value in enumerate(values)]


def footer(text: str) -> None:
    """A last line for a reader; nothing in a pipe."""
    if sys.stdout.isatty():
        print(f"\n{dim(text)}")


def dim(text: str) -> str:
    """Faint on a terminal."""
    return f"\033[2m{text}\033[0m" if sys.stdout.isatty() else text


def readable(path: Path) -> str:
    """A path as short as it can be written here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def number(value: float) -> str:
    """Four significant digits, thousands and more as whole numbers."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
