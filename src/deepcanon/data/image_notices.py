"""What is said about a user's pictures: one line each, on stderr, once per process.

    with collected() as lines:      # nothing is printed inside; the lines are in the list
        images("./photos").at(0)
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

notices: list[str] = []         # everything that was printed so far, in order

_collector: ContextVar[list[str] | None] = ContextVar("collector", default=None)


def say(line: str) -> None:
    """Print a line on stderr, unless it was printed before; inside `collected` it goes to the list and is not printed."""
    lines = _collector.get()
    into = notices if lines is None else lines
    if line in into:
        return
    into.append(line)
    if lines is None:
        print(line, file=sys.stderr)


@contextmanager
def collected() -> Iterator[list[str]]:
    """Inside the block, notices are added to the list that it gives instead of being printed."""
    lines: list[str] = []
    token = _collector.set(lines)
    try:
        yield lines
    finally:
        _collector.reset(token)


def some(names: list[str], most: int = 3) -> str:
    """The first few of some names: `a, b, c and 4 more`."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def counted(number: int, noun: str) -> str:
    """`1 image`, `1,200 images`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
