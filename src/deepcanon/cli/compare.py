"""`deepcanon compare`: several methods or settings under one budget."""

import argparse
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from deepcanon import catalogue
from deepcanon.catalogue import RecipeInfo, suggest
from deepcanon.cli.flags import Parser, add_run_options, minutes, reader, run_options, split_union, whole
from deepcanon.cli.terminal import readable
from deepcanon.cli.train import named, say
from deepcanon.errors import UsageError


def main(words: list[str]) -> None:
    """Run every call and print the path of the report."""
    parser = Parser("compare", "NAME ... [--ARGUMENT VALUE ...]",
                    "Run several methods, or one with several values of an argument, under one budget and write one report: curves, metrics, samples "
                    "and seconds side by side. An interrupted comparison goes on with `deepcanon resume FOLDER`.",
                    "examples: deepcanon compare vae glow ddpm --data ./photos;  deepcanon compare gan --data ring --objective minimax hinge;  "
                    "deepcanon compare vae --beta 1 2 4 --seeds 3")
    parser.add_argument("names", nargs="+", metavar="NAME", help="methods that `deepcanon list` prints, or patterns such as '*_vae'")
    parser.add_argument("--seeds", type=whole, default=1, metavar="N", help="seeds of each (default 1)")
    parser.add_argument("--minutes", type=minutes, metavar="M",
                        help="time of each run (default: what the method takes)")
    parser.add_argument("--budget", default="", metavar="NAME", help="of the presets, such as full")
    add_run_options(parser, "the folder of the runs and the report (default runs/compare/DATE-TIME)")
    add_launch_options(parser)
    own, texts_of = separate(words, parser)
    asked = parser.parse(own)
    recipes, how = matching(asked.names), run_options(asked)
    given = arguments_of(recipes, texts_of)
    values = {name: typed("compare", recipes, name, texts) for name, texts in given.items()}
    call = ([r.name for r in recipes], values)
    check_launch(asked, how["folder"])

    from deepcanon import comparison, engine, launching

    with engine.options(device=how["device"], quiet=how["quiet"]):
        if asked.dry_run:
            plan = comparison.planned(*call, asked.seeds, how["minutes"], asked.budget)
            print_lines(launching.lines(comparison.jobs_of(plan, how["folder"]), how["device"]))
            return
        report = comparison.compare(*call, seeds=asked.seeds, minutes=how["minutes"], budget=asked.budget,
                                    out=how["folder"], launcher=asked.launcher, jobs=asked.jobs,
                                    device=how["device"])
    print(readable(report))


def add_launch_options(parser: Parser) -> None:
    """How the runs are made when each is a command of its own."""
    group = parser.add_argument_group("launching")
    group.add_argument("--launcher", metavar="WORDS",
                       help="make each run by `WORDS deepcanon train ...`, such as --launcher 'srun -n1'")
    group.add_argument("--jobs", type=whole, default=1, metavar="N",
                       help="runs at once, each a command of its own (default 1, in this process)")
    group.add_argument("--dry-run", action="store_true",
                       help="print the commands of the runs that are missing, one a line, and run nothing; "
                       "the same line without it collects what came back")


def check_launch(asked: argparse.Namespace, folder: Path | None) -> None:
    """Refuse what no launch can mean."""
    if asked.jobs < 1:
        raise UsageError(f"--jobs: expected 1 or more, got {asked.jobs}")
    if asked.dry_run and folder is None:
        raise UsageError("--dry-run needs --folder, where the runs will lie and be looked for")


def print_lines(lines: Sequence[str]) -> None:
    """Commands, one a line; a note on stderr where none is missing."""
    if not lines:
        say("every run has come back: the same command without --dry-run collects them")
    for line in lines:
        print(line)


def separate(words: Sequence[str], parser: Parser) -> tuple[list[str], dict[str, list[str]]]:
    """The words of this verb, and the arguments of recipes: each with its values, the words up to the next flag."""
    own: list[str] = []
    values: dict[str, list[str]] = {}
    current: list[str] = own
    for word in words:
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            if flag.replace("_", "-") in parser._option_string_actions:
                current = own
                own.append(word)
                continue
            current = values.setdefault(flag[2:].replace("-", "_"), [])
            current.extend([value] if equals else [])
        else:
            current.append(word)
    return own, values


def matching(words: Sequence[str]) -> list[RecipeInfo]:
    """The recipes of these names, of which some may be patterns as in *_vae; each once."""
    found: dict[str, RecipeInfo] = {}
    for word in words:
        names = [name for name in catalogue.recipes() if fnmatchcase(name, word)] or [word]
        found |= {name: named(name) for name in names}
    return list(found.values())


def arguments_of(recipes: Sequence[RecipeInfo], values: dict[str, list[str]]) -> dict[str, list[str]]:
    """The arguments by their names: --no-fast is fast false, --fast alone is fast true."""
    truths = {p.name for recipe in recipes for p in recipe.parameters if split_union(p.type) == ["bool"]}
    found: dict[str, list[str]] = {}
    for name, texts in values.items():
        plain = name.removeprefix("no_")
        alone = not texts and plain in truths
        found.setdefault(plain if alone else name, []).extend([str(plain == name)] if alone else texts)
    return found


def typed(verb: str, recipes: Sequence[RecipeInfo], name: str, texts: Sequence[str]) -> list[Any]:
    """The values of an argument, converted; UsageError for a recipe without it, or a value of another type."""
    if not texts:
        raise UsageError(f"{verb}: --{name.replace('_', '-')} needs a value or several")
    for recipe in recipes:
        known = {p.name: p for p in recipe.parameters}
        if name not in known:
            raise UsageError(f"{recipe.name} has no argument '--{name.replace('_', '-')}'{suggest(name, known)}")
    kinds = split_union(next(p.type for p in recipes[0].parameters if p.name == name))
    try:
        return [reader(kinds)(text) for text in texts]
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{verb}: --{name.replace('_', '-')}: {error}") from None
