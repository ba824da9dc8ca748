"""What is said about a user's pictures: one line each, on stderr, once per process.

    with collected() as lines:      # nothing is printed inside; the lines are in the list
        images("./photos").at(0)
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import NamedTuple

notices: list[str] = []  # everything that was printed so far, in order


class Collector(NamedTuple):
    """Where lines go inside `collected`; `outer` says them as well."""

    lines: list[str]
    outer: Callable[[str], None] | None


_collector: ContextVar[Collector | None] = ContextVar("collector", default=None)


def say(line: str) -> None:
    """Print a line on stderr, unless it was printed before; inside `collected`, list it."""
    collector = _collector.get()
    into = notices if collector is None else collector.lines
    if line not in into:
        into.append(line)
        if collector is None:
            print(line, file=sys.stderr)
        elif collector.outer:
            collector.outer(line)


@contextmanager
def collected(also_said: bool = False) -> Iterator[list[str]]:
    """Inside the block, notices are added to the list that it gives instead of (or as well as) being said."""
    lines: list[str] = []
    outer = copy_context()
    token = _collector.set(Collector(lines, (lambda line: outer.run(say, line)) if also_said else None))
    try:
        yield lines
    finally:
        _collector.reset(token)


def some(names: list[str], most: int = 3) -> str:
    """The first few of some names: `a, b, c and 4 more`."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")
