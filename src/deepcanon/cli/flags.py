"""Flags from signatures: the keyword arguments of a recipe, as its source declares them, become the flags of `deepcanon train`.

    latent: int = 16                              --latent INT
    fast: bool = True                             --fast, --no-fast
    size: Literal["small", "full"] = "small"      --size small|full
    width: int | None = None                      --width INT        ("none" gives None)

Only the flags that were given are passed on, so that every default stays the recipe's own.
"""

import argparse
import csv
import re
import textwrap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from deepcanon.catalogue import Parameter, RecipeInfo, calls, choices_of, proof, suggest
from deepcanon.data.kinds import KINDS
from deepcanon.errors import UsageError

RUN_FOLDER = "the run folder (default runs/NAME/DATE-TIME)"


class Parser(argparse.ArgumentParser):
    """argparse that raises UsageError and suggests the nearest flag."""

    def __init__(self, verb: str, operands: str, about: str, epilog: str = ""):
        super().__init__(f"deepcanon {verb}", f"deepcanon {verb} {operands}", textwrap.fill(about, 98),
                         epilog if "\n" in epilog else textwrap.fill(epilog, 98), allow_abbrev=False, formatter_class=Formatter)
        self._optionals.title, self._positionals.title = "options", "what"
        self.verb = verb

    def error(self, message: str):
        message = re.sub("the following arguments are required: (.*)", r"\1 is missing", message.removeprefix("argument "))
        raise UsageError(f"{self.verb}: {message}; see {self.prog} --help")

    def parse(self, words: list[str]) -> argparse.Namespace:
        """Every word understood, or a UsageError that names the first one that is not; --clip_norm is --clip-norm."""
        words = [re.sub(r"^--[^=]+", lambda name: name[0].replace("_", "-"), word) for word in words]
        if "--" in words:
            self.error("unexpected '--'")
        parsed, unknown = self.parse_known_args(words)
        if not unknown:
            return parsed
        word, known = unknown[0].partition("=")[0], [flag for flag in self._option_string_actions if flag.startswith("--")]
        twin = {"--data": "--env", "--env": "--data"}.get(word)
        if twin in known:
            raise UsageError(f"{self.verb} takes {twin} and no {word}: {'an environment' if twin == '--env' else 'data'}")
        if word.startswith("-"):
            raise UsageError(f"{self.verb} has no flag '{word}'{suggest(word, known) or f'; see {self.prog} --help'}")
        self.error(f"unexpected '{word}'")


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help in one column of flags and one of words; what follows it is printed as it stands."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=30, width=98)


def recipe_parser(recipe: RecipeInfo) -> Parser:
    """The parser of `deepcanon train RECIPE`."""
    parser = Parser(f"train {recipe.name}", "[--flags]", recipe.summary, presets_help(recipe))
    group = parser.add_argument_group(f"arguments of {recipe.name}")
    for p in recipe.parameters:
        add_flag(group, p)
    budgets = [name for name in recipe.form.budgets if name]
    group.add_argument("--budget", default="", metavar="|".join(budgets) or "NAME",
                       help="larger presets, for a GPU and hours (default: two cores and minutes)" if budgets else argparse.SUPPRESS)
    add_run_options(parser)
    add_training_options(parser)
    return parser


def presets_help(recipe: RecipeInfo) -> str:
    """The presets of known data sets: their targets, and what was measured."""
    lines = []
    for call in calls(recipe):
        target = ", ".join(f"{name} {bound}" for name, bound in call.target.items())
        record = proof(call.name)
        measured = ", ".join(f"{k} {record['summary'][k]['mean']:.4g}" for k in call.target if k in record["summary"]) if record else ""
        text = "; ".join(filter(None, [f"target {target}" if target else call.expect, f"measured {measured}" if measured else ""]))
        lines += textwrap.wrap(f"{call.label:<18} {text}", 98, initial_indent="  ", subsequent_indent=" " * 21)
    return "\n".join(["presets and proofs:", *lines]) if lines else ""


def add_flag(group, parameter: Parameter) -> None:
    """One keyword argument as a flag."""
    about = f"{parameter.note} (default {parameter.default})".strip().replace("%", "%%")
    name, kinds = flag(parameter), split_union(parameter.type)
    if kinds == ["bool"]:
        group.add_argument(name, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=about)
        return
    group.add_argument(name, type=reader(kinds), default=argparse.SUPPRESS, metavar=metavar(kinds), help=about)


def metavar(kinds: list[str]) -> str:
    """How a value is named in help: NAME|PATH for data, the choices of a variant, INT and the like."""
    if any(kind in KINDS for kind in kinds):
        return "ID|PATH:CLASS" if "Env" in kinds else "NAME|PATH"
    return "|".join(str(choice) for k in kinds if k != "None" for choice in choices_of(k) or [k.upper()])


def add_run_options(parser: argparse.ArgumentParser, folder: str | None = RUN_FOLDER, quiet: bool = True) -> None:
    """Where and how a run happens, whatever it runs; `folder` explains --folder, None leaves it out."""
    group = parser.add_argument_group("run options")
    if folder:
        group.add_argument("--folder", type=path, metavar="DIR", help=folder)
    group.add_argument("--device", default="auto", metavar="DEVICE", type=reader(["Literal['auto', 'cpu', 'cuda']"]),
                       help="auto (the default: a GPU where there is one), cpu or cuda")
    if quiet:
        group.add_argument("--quiet", action="store_true", help="no progress bar, no report: only what a script needs")


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """What may be asked of any training run beside its recipe's arguments."""
    group = parser.add_argument_group("training options")
    group.add_argument("--minutes", type=minutes, metavar="M",
                       help="time of the run (default: what the method takes)")
    group.add_argument("--from", dest="start_from", type=path, metavar="RUN",
                       help="start from the weights of this run folder (fine-tuning)")
    group.add_argument("--track", action="append", default=[], metavar="TRACKER", type=reader(["Literal['tensorboard', 'wandb', 'mlflow']"]),
                       help="send every row of metrics.csv to tensorboard, wandb or mlflow")
    add_reading_options(group)


def add_reading_options(group) -> None:
    """How data of the user's own are read."""
    group.add_argument("--skip-unreadable", action="store_true", help="leave out files that cannot be read, and say how many")
    group.add_argument("--read", action="append", default=[], metavar="OPTION=VALUE", type=reading_option,
                       help="how data are read: separator=';', decimal=',', encoding=latin-1, missing=none,?, types=zip:category, fit=pad, ...")


RUN_OPTIONS = ("folder", "device", "quiet", "minutes", "start_from", "track")


def run_options(asked: argparse.Namespace) -> dict:
    """The run options among parsed arguments, removed from there: what `engine.options` takes."""
    found = {name: vars(asked).pop(name) for name in RUN_OPTIONS if name in asked}
    return found | ({"track": tuple(found["track"])} if "track" in found else {})


def reading_options(asked: argparse.Namespace) -> dict:
    """How data are read, among parsed arguments, removed from there: what `data.reading` takes."""
    skipped = {"skip_unreadable": True} if vars(asked).pop("skip_unreadable", False) else {}
    read: dict = {}
    for name, value in vars(asked).pop("read", []):
        read[name] = read.get(name, {}) | value if name == "types" else value
    return read | skipped


LISTS, WHOLE = {"missing", "names", "classes"}, {"channels", "count"}
READING = {"separator", "decimal", "encoding", "task", "fill", "fit", "types", *LISTS, *WHOLE}


def reading_option(text: str) -> tuple[str, object]:
    """OPTION=VALUE as the functions of `deepcanon.data` take it: lists are written a,b (what has a comma in
    double quotes) and types column:type,column:type."""
    name, equals, value = text.partition("=")
    if not equals or name not in READING:
        raise argparse.ArgumentTypeError(f"expected OPTION=VALUE with one of {', '.join(sorted(READING))}, got '{text}'{suggest(name, READING)}")
    if name == "types":
        if not re.fullmatch(r"(.+?:\w+)(,.+?:\w+)*", value, re.DOTALL):
            raise argparse.ArgumentTypeError(f"expected types=COLUMN:TYPE,COLUMN:TYPE, got '{text}'")
        return name, dict(re.findall(r"(.+?):(\w+)(?:,|$)", value, re.DOTALL))
    if name in WHOLE:
        if not re.fullmatch(r"\d+", value):
            raise argparse.ArgumentTypeError(f"expected {name}= with a whole number, got '{text}'")
        return name, int(value)
    return name, next(csv.reader([value]), [""]) if name in LISTS else value


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Which weights of a run."""
    parser.add_argument("--weights", default="weights", metavar="WHICH", type=reader(["Literal['weights', 'best']"]),
                        help="weights (the last ones, the default) or best")


def flag(parameter: Parameter) -> str:
    """--clip-norm for clip_norm."""
    return "--" + parameter.name.replace("_", "-")


def split_union(annotation: str) -> list[str]:
    """int, None for int | None; what stands in brackets stays together."""
    return [kind.strip() for kind in re.split(r"\|(?![^\[]*\])", annotation)]


def reader(kinds: list[str]) -> Callable[[str], object]:
    """Text to value for int, float, str, Literal and None; argparse's own error for other text."""
    readers = {"int": (int, "a whole number"), "float": (float, "a number"), "str": (str, "text"),
               "Path": (path, "a path"), "bool": (truth, "true or false"), "data": (data, "a name or a path")}
    kinds = ["data" if kind in KINDS else kind for kind in kinds]
    choices, scalars = {str(choice): choice for kind in kinds for choice in choices_of(kind)}, [kind for kind in kinds if kind in readers]

    def read(text: str):
        if "None" in kinds and text.lower() == "none":
            return None
        if text in choices:
            return choices[text]
        for kind in scalars:
            with suppress(ValueError):
                return readers[kind][0](text)
        expected = [*choices, *(readers[kind][1] for kind in scalars)]
        raise argparse.ArgumentTypeError(f"expected {' or '.join(expected)}, got '{text}'{suggest(text, choices)}")

    return read


def path(text: str) -> Path:
    """A path; the empty text, which would mean the working directory, is none."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got ''")
    return Path(text)


def data(text: str) -> str:
    """A known name or a path, which the empty text is not."""
    if not text:
        raise argparse.ArgumentTypeError("expected a name or a path, got ''")
    return text


def truth(text: str) -> bool:
    """True or false, in words."""
    if text.lower() not in TRUTHS:
        raise ValueError
    return TRUTHS[text.lower()]


TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
whole, decimal = reader(["int"]), reader(["float"])


def minutes(text: str) -> float:
    """A time above 0."""
    value = decimal(text)
    if not (isinstance(value, float) and 0 < value < float("inf")):
        raise argparse.ArgumentTypeError(f"expected minutes above 0, got '{text}'")
    return value
