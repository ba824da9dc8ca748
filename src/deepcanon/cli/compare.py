"""`deepcanon compare`: several methods or settings under one budget."""

import argparse
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from deepcanon import catalogue
from deepcanon.catalogue import RecipeInfo, suggest
from deepcanon.cli.flags import Parser, add_run_options, decimal, reader, run_options, split_union, whole
from deepcanon.cli.terminal import readable
from deepcanon.cli.train import named
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
    parser.add_argument("--minutes", type=decimal, metavar="M", help="time of each run (default: what the method takes)")
    parser.add_argument("--budget", default="", metavar="NAME", help="of the presets, such as full")
    add_run_options(parser, "the folder of the runs and the report (default runs/compare/DATE-TIME)")
    own, values = separate(words, parser)
    asked = parser.parse(own)
    recipes, how = matching(asked.names), run_options(asked)
    read = {name: typed(recipes, name, texts) for name, texts in values.items()}

    from deepcanon import engine
    from deepcanon.comparison import compare

    with engine.options(device=how["device"], quiet=how["quiet"]):
        report = compare([r.name for r in recipes], read, seeds=asked.seeds, minutes=how["minutes"], budget=asked.budget, out=how["folder"])
    print(readable(report))


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


def typed(recipes: Sequence[RecipeInfo], name: str, texts: Sequence[str]) -> list[Any]:
    """The values of an argument, converted; UsageError for a recipe without it, or a value of another type."""
    if not texts:
        raise UsageError(f"compare: --{name.replace('_', '-')} needs a value or several")
    for recipe in recipes:
        known = {p.name: p for p in recipe.parameters}
        if name not in known:
            raise UsageError(f"{recipe.name} has no argument '--{name.replace('_', '-')}'{suggest(name, known)}")
    kinds = split_union(next(p.type for p in recipes[0].parameters if p.name == name))
    if kinds == ["bool"]:
        return [text.lower() in ("true", "yes", "1") for text in texts]
    try:
        return [reader(kinds)(text) for text in texts]
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"compare: --{name.replace('_', '-')}: {error}") from None
