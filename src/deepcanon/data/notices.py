"""What a reader of data did that its user should know, in one line each: a column that was dropped, an
encoding that was guessed."""

import warnings


class DataNotice(UserWarning):
    """A warning about how data were read: nothing is wrong, but the user should know."""


def say(lines: list[str], where: str) -> None:
    """Issue each line as a `DataNotice` that begins with the source it is about."""
    for line in lines:
        warnings.warn(f"{where}: {line}", DataNotice, stacklevel=3)


def counted(number: int, noun: str) -> str:
    """`1 line`, `2,000 lines`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
