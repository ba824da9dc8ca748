"""`deepcanon prove`: several seeds, and whether the targets hold."""

from pathlib import Path
from typing import Any

from deepcanon import catalogue
from deepcanon.cli.compare import matching, separate, typed
from deepcanon.cli.flags import Parser, add_run_options, path, run_options, whole
from deepcanon.cli.terminal import fields, number, readable, title
from deepcanon.cli.train import results_fields
from deepcanon.errors import UsageError
from deepcanon.grammar import Resolved, resolve


def main(words: list[str]) -> int:
    """Run calls with several seeds; status 1 when a target is missed."""
    parser = Parser("prove", "NAME ... [--data NAME] [--VARIANT VALUE]",
                    "Run a method with several seeds, check its target and write results/NAME/LABEL.json; status 1 when a target is missed. "
                    "Only data, variant, budget and seeds may be chosen: a target is of the call that it was set for.")
    parser.add_argument("names", nargs="+", metavar="NAME", help="methods that `deepcanon list` prints, or patterns such as '*_vae'")
    parser.add_argument("--all", action="store_true", help="every call that has presets without a larger budget")
    parser.add_argument("--budget", default="", metavar="NAME", help="of the presets, such as full")
    parser.add_argument("--seeds", type=whole, default=3, metavar="N", help="how many (default 3)")
    parser.add_argument("--out", type=path, default=Path("results"), metavar="DIR", help="where the records go (default results)")
    add_run_options(parser, "the folder of the runs (default runs/prove/NAME/DATE-TIME)")
    own, values = separate(words, parser)
    asked = parser.parse(own)
    recipes, how = matching(asked.names), run_options(asked)
    if any(len(texts) > 1 for texts in values.values()):
        raise UsageError("prove holds one call to its target: give one value an argument, or --all")
    given = {name: typed(recipes, name, texts)[0] for name, texts in values.items()}
    calls = [call for r in recipes for call in wanted(r, given, asked.budget, asked.all)]

    from deepcanon import engine
    from deepcanon.proofs import prove

    passed = True
    for call in calls:
        with engine.options(device=how["device"], quiet=how["quiet"]):
            folder = how["folder"] and how["folder"] / call.name
            record = prove(call.recipe, asked.seeds, out=asked.out, folder=folder, budget=call.budget, **call.given)
        passed = passed and record["passed"]
        title(f"{call.name}: {'proven' if record['target'] and record['passed'] else 'target missed' if record['target'] else 'measured'}")
        fields([*results_fields({name: s["mean"] for name, s in record["summary"].items()}, call.target), ("expected", call.expect),
                ("seconds", number(record["seconds"])), ("record", readable(asked.out / f"{call.name}.json"))])
    return 0 if passed else 1


def wanted(recipe: catalogue.RecipeInfo, given: dict[str, Any], budget: str, every: bool) -> list[Resolved]:
    """The call that the flags mean, or every call with presets that they do not exclude."""
    if not every:
        return [resolve(recipe.form, given, budget)]
    return [c for c in catalogue.calls(recipe) if c.budget == budget and all(c.arguments[k] == v for k, v in given.items())]
