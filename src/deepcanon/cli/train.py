"""`deepcanon train`: run a recipe with the flags given."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from deepcanon import catalogue
from deepcanon.catalogue import RecipeInfo, nearest
from deepcanon.cli.flags import Parser, add_run_options, reading_options, recipe_parser, run_options
from deepcanon.cli.terminal import fields, number, readable, title
from deepcanon.errors import UsageError
from deepcanon.grammar import Bound, bounds


def main(words: list[str]) -> None:
    """Run a recipe and print what it reached."""
    name, flags = name_and_flags(words)
    if name is None:
        parser = Parser("train", "NAME [--flags]", "Train a method; its arguments are flags, listed by `deepcanon train vae --help`.")
        parser.add_argument("name", metavar="NAME", help="a name that `deepcanon list` prints")
        add_run_options(parser)
        name = parser.parse([word for word in flags if word == "--help" or re.match("-(?!-)", word)]).name
    recipe = named(name)
    asked = recipe_parser(recipe).parse(flags)
    how, read, budget = run_options(asked), reading_options(asked), vars(asked).pop("budget", "")

    from deepcanon import engine, runs
    from deepcanon.data.source import reading

    with engine.options(**how), reading(**read):
        run = runs.train(recipe.name, vars(asked), budget)
    show_run(run, how["quiet"])


def name_and_flags(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The method's name, which may stand anywhere, and the other words. It is the first word that is the name
    of a method and does not follow a flag, else one that does, else any word that does not; or None."""
    values = [i for i, word in enumerate(words)
              if i and re.match("--[^=]+$", words[i - 1]) and not word.startswith("--")]
    operands = [i for i, word in enumerate(words) if i not in values and not word.startswith("-")]
    known = catalogue.recipes()
    near = [i for i in values if nearest(words[i], known)]
    ranked = [*(i for i in (*operands, *values) if words[i] in known), *operands, *near]
    return (words[ranked[0]], [word for i, word in enumerate(words) if i != ranked[0]]) if ranked else (
        None, [word for i, word in enumerate(words) if i not in values])


def named(name: str) -> RecipeInfo:
    """The recipe of that name, or a UsageError with the nearest one."""
    try:
        return catalogue.recipe(name)
    except ValueError as error:
        raise UsageError(str(error)) from None


def show_run(run, quiet: bool) -> None:
    """What a run reached and where it lies; the folder alone when quiet."""
    from deepcanon.engine.record import read_call

    if quiet:
        print(run.folder)
        return
    call = read_call(run.folder)
    title(f"{call['label']}: {run.steps:,} steps in {run.seconds:.1f} s")
    report = Path(run.folder) / "report.html"
    fields([*results_fields(run.results, bounds(call.get("target", {}))), ("expected", call.get("expect", "")), ("folder", readable(run.folder)),
            ("report", readable(report) if report.exists() else "")])


def results_fields(results: dict[str, float], target: dict[str, Bound] | None = None) -> list[tuple[str, str]]:
    """Results as fields, each beside its target."""

    def beside(name: str, value: float) -> str:
        bound = (target or {}).get(name)
        return f"   target {bound}, {'met' if bound.holds(value) else 'not met'}" if bound else ""

    return [(name, number(value) + beside(name, value)) for name, value in results.items()]


def say(line: str) -> None:
    """A line on stderr."""
    print(line, file=sys.stderr, flush=True)
