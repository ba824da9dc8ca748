"""Lines on stderr, for a person who watches."""

import contextlib
import sys
from collections.abc import Iterator


def say(line: str) -> None:
    """A line on stderr."""
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def said_when_stopped(line: str) -> Iterator[None]:
    """Inside the block, an interruption says this line: how what was begun goes on."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        say(line)
        raise
