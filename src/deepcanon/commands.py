"""Commands as they are printed and run: pasted into a shell, a line makes its call again, whatever it holds.

    train_words("vae", {"data": "my photos", "beta": 4.0, "fast": False})
    ->  ["deepcanon", "train", "vae", "--data", "my photos", "--beta", "4.0", "--no-fast"]

The words become a line by `shlex.join`, which quotes each. What a recipe is given decides the flags; how data
are read, the minutes and the weights that a run starts from are flags as well.
"""

import csv
import io
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def train_words(
    recipe: str, given: Mapping[str, Any], budget: str = "", verb: str = "train", **options: Any
) -> list[str]:
    """The words of a call of a recipe.

    Args:
        recipe: its name.
        given: its arguments; None, numbers, texts and truth values.
        budget: of the presets.
        verb: train or prove.
        options: further flags with a value, such as seeds=3 or folder=path; None leaves one out.
    """
    words = ["deepcanon", verb, recipe]
    for name, value in given.items():
        words += flag_words(name, value)
    for name, value in ({"budget": budget or None} | options).items():
        words += flag_words(name, value) if value is not None else []
    return words


def flag_words(name: str, value: Any) -> list[str]:
    """One argument: --clip-norm 1.0, --fast, --no-fast; a value that looks like a flag is joined by =."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}={value}"] if str(value).startswith("-") else [f"--{flag}", str(value)]


def reading_words(options: Mapping[str, Any]) -> list[str]:
    """How data are read, as `deepcanon train` takes it: --read separator=';', --skip-unreadable."""
    words = []
    for name, value in options.items():
        if name == "skip_unreadable":
            words += ["--skip-unreadable"] if value else []
        elif isinstance(value, Mapping):
            words += [
                word for column, kind in value.items() for word in ("--read", f"{name}={column}:{kind}")
            ]
        elif isinstance(value, list | tuple):
            csv.writer(row := io.StringIO(), lineterminator="").writerow(value)
            words += ["--read", f"{name}={row.getvalue()}"]
        else:
            words += ["--read", f"{name}={value}"]
    return words


def resume_line(folder: str | Path) -> str:
    """The line that goes on with a run or a comparison."""
    return shlex.join(["deepcanon", "resume", *operand(folder)])


def operand(path: str | Path) -> Sequence[str]:
    """A path that is no flag, whatever it is called: -x is ./-x."""
    return [f"./{path}" if str(path).startswith("-") else str(path)]
