"""`deepcanon prove`: several seeds, and whether the targets hold."""

import argparse
import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepcanon import catalogue
from deepcanon.cli.compare import (
    add_launch_options,
    arguments_of,
    check_launch,
    matching,
    print_lines,
    separate,
    typed,
)
from deepcanon.cli.flags import Parser, add_run_options, path, run_options, whole
from deepcanon.cli.terminal import fields, number, readable, title
from deepcanon.cli.train import results_fields, say
from deepcanon.commands import flag_words
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
    parser.add_argument("--out", type=path, default=Path("results"), metavar="DIR",
                        help="where the records go (default results)")
    add_run_options(parser, "the folder of the runs (default runs/prove/DATE-TIME)")
    add_launch_options(parser)
    own, values = separate(words, parser)
    asked = parser.parse(own)
    recipes, how = matching(asked.names), run_options(asked)
    values = arguments_of(recipes, values)
    if any(len(texts) > 1 for texts in values.values()):
        raise UsageError("prove holds one call to its target: give one value an argument, or --all")
    given = {name: typed("prove", recipes, name, texts)[0] for name, texts in values.items()}
    calls = [call for r in recipes for call in wanted(r, given, asked.budget, asked.all)]
    if not calls:
        raise UsageError("prove: no call with presets has these values; see deepcanon show NAME")
    check_launch(asked, how["folder"])

    from deepcanon import engine

    with engine.options(device=how["device"], quiet=how["quiet"]):
        return prove_calls(calls, asked, how["folder"], how["device"])


def prove_calls(calls: list[Resolved], asked: argparse.Namespace, folder: Path | None, device: str) -> int:
    """Make the runs that are missing, then keep and show the record of each call whose runs are there; the
    status."""
    from deepcanon import launching, proofs

    root = folder or proofs.new_folder("prove")
    jobs = {call.name: proofs.jobs_of(proofs.called(call.recipe, call.given, call.budget), asked.seeds,
                                      root / call.name) for call in calls}
    every, failed, passed = [job for some in jobs.values() for job in some], [], True
    if asked.dry_run:
        print_lines(launching.lines(every, device))
        return 0
    with goes_on(root):
        if asked.launcher is not None or asked.jobs > 1:
            failed = launching.launch(every, launching.launcher_words(asked.launcher), asked.jobs, device)
        for call in calls:
            if not any(job in failed for job in jobs[call.name]):
                record = proofs.prove(call.recipe, asked.seeds, out=asked.out, folder=root / call.name,
                                      budget=call.budget, **call.given)
                show_proof(call, record, asked.out)
                passed = passed and record["passed"]
    if failed:
        names = ", ".join(job.name for job in failed)
        raise ValueError(f"{len(failed)} of {len(every)} runs failed: {names}; the others are kept, "
                         f"{again(root)} makes these again")
    return 0 if passed else 1


@contextlib.contextmanager
def goes_on(root: Path) -> Iterator[None]:
    """Inside the block, an interruption says how the proof is continued."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        say(f"what is done is kept: {again(root)} goes on")
        raise


def again(root: Path) -> str:
    """How the runs in a folder are taken up again."""
    return f"the same command with {shlex.join(flag_words('folder', str(root)))}"


def show_proof(call: Resolved, record: dict[str, Any], out: Path) -> None:
    """What was measured, and whether it is what was to be shown."""
    verdict = ("proven" if record["passed"] else "target missed") if record["target"] else "measured"
    title(f"{call.name}: {verdict}")
    means = {name: s["mean"] for name, s in record["summary"].items()}
    fields([*results_fields(means, call.target), ("expected", call.expect),
            ("seconds", number(record["seconds"])), ("record", readable(out / f"{call.name}.json"))])


def wanted(recipe: catalogue.RecipeInfo, given: dict[str, Any], budget: str, every: bool) -> list[Resolved]:
    """The call that the flags mean, or every call with presets that they do not exclude."""
    if not every:
        return [resolve(recipe.form, given, budget)]
    return [c for c in catalogue.calls(recipe) if c.budget == budget and all(c.arguments[k] == v for k, v in given.items())]
