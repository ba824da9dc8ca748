"""The catalogue: what there is, read from `canon.toml`, from the source of the recipes and from `results/`, without importing torch.

A recipe is found by `ast`: its signature, its docstring and the literal arguments of its decorator

    @recipe(paper="Kingma & Welling 2014", systems=["GEN-18"], presets=[preset("digits", target={"elbo": at_least(-24.0)}), ...])

so that listing and showing cost no more than reading a few files.
"""

import ast
import difflib
import json
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from deepcanon.data.kinds import KINDS
from deepcanon.grammar import Form, Resolved, at_least, at_most, preset, resolve

PACKAGE = Path(__file__).parent
USUAL = {                                               # what these arguments mean in every recipe that does not say otherwise
    "lr": "peak learning rate", "batch": "examples a step", "steps": "training steps", "seed": "of weights, order and every other draw",
    "size": "side in pixels that images are brought to; None keeps those of known sets, and of small ones of one size",
    "target": "column of a table to predict; None takes the one called target, label, class or y, else the last"}
GRAMMAR = {"preset": preset, "at_least": at_least, "at_most": at_most}
AREAS = {
    "FND": "foundations",
    "VIS": "vision",
    "SEQ": "sequences and language",
    "LLM": "large language models",
    "GEN": "generative models",
    "SSL": "self-supervised learning",
    "ROB": "robustness and safety",
    "RL": "reinforcement learning",
    "MGL": "meta-learning and graphs",
    "EXP": "explanation",
    "MET": "metrics",
}


class Entry(NamedTuple):
    """A system of the catalogue; `where` ("module:object") and `recipe` are empty until it is built."""

    id: str
    name: str
    kind: str
    paper: str = ""
    where: str = ""
    recipe: str = ""

    @property
    def area(self) -> str:
        return self.id.partition("-")[0]

    @property
    def module(self) -> str:
        return self.where.partition(":")[0]


class Parameter(NamedTuple):
    """A keyword argument of a recipe, its type and default as written, and the phrase that explains it."""

    name: str
    type: str
    default: str
    note: str = ""


class RecipeInfo(NamedTuple):
    """A recipe as its source states it."""

    name: str
    file: Path
    line: int
    parameters: tuple[Parameter, ...]
    doc: str
    form: Form
    paper: str = ""
    systems: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        return self.doc.partition("\n")[0]

    @property
    def module(self) -> str:
        return ".".join(self.file.relative_to(PACKAGE.parent).with_suffix("").parts)

    @property
    def family(self) -> str:
        return self.file.parent.name

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of data that it takes."""
        annotation = next((p.type for p in self.parameters if p.name == self.form.data), "")
        return tuple(KINDS[name] for name in re.findall(r"\w+", annotation) if name in KINDS)

    @property
    def data(self) -> tuple[str, ...]:
        """The known data sets that it has presets for."""
        return tuple(dict.fromkeys(p.data for p in self.form.presets))


@cache
def entries() -> dict[str, Entry]:
    """Every system by its id, in the order of `canon.toml`."""
    with open(PACKAGE / "canon.toml", "rb") as file:
        return {id: Entry(id, **fields) for id, fields in tomllib.load(file).items()}


@cache
def recipes() -> dict[str, RecipeInfo]:
    """Every recipe by its name, file after file."""
    found = {}
    for file in sorted((PACKAGE / "recipes").rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8"), file).body:
            decorator = _recipe_decorator(node)
            if isinstance(node, ast.FunctionDef) and decorator:
                found[node.name] = _recipe(file, node, decorator)
    return found


def recipe(name: str) -> RecipeInfo:
    """The recipe of that name; ValueError with the nearest one when there is none."""
    if name not in recipes():
        raise ValueError(f"no recipe '{name}'{suggest(name, recipes())}")
    return recipes()[name]


def proof(name: str) -> dict | None:
    """What `deepcanon prove` committed for a call: results/<recipe>/<label>.json of the repository or of the installed package."""
    for folder in (PACKAGE.parents[1] / "results", PACKAGE / "results"):
        if (folder / f"{name}.json").is_file():
            return json.loads((folder / f"{name}.json").read_bytes())
    return None


def calls(info: RecipeInfo) -> list[Resolved]:
    """The calls that a recipe has presets for: every data set, variant and budget that one names."""
    found = {}
    for p in info.form.presets:
        given = {k: v for k, v in p.arguments.items() if k in info.form.variants} | ({info.form.data: p.data} if info.form.data else {})
        call = resolve(info.form, given, p.budget)
        found[call.name] = call
    return list(found.values())


def recipes_of(entry: Entry) -> list[RecipeInfo]:
    """The recipes that show a system, the one that shows it best first."""
    named = [r for r in recipes().values() if entry.id in r.systems or r.name == entry.recipe]
    return sorted(named, key=lambda r: r.name != entry.recipe)


def locate(where: str) -> tuple[Path, int]:
    """File and line of a "module:object", by reading the source."""
    module, _, name = where.partition(":")
    path = PACKAGE.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    scope, line = ast.parse(path.read_text(encoding="utf-8"), path).body, 1
    for part in name.split("."):
        node = next((n for n in scope if part in _defined(n)), None)
        line, scope = (node.lineno, getattr(node, "body", [])) if node else (line, [])
    return path, line


def header(file: Path) -> str:
    """The docstring that opens a file: what, who, the equation."""
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"), file)) or ""


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that looks most like `word`, if one does."""
    names = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.55)
    return names[close[0]] if close else None


def suggest(word: str, choices: Iterable[str]) -> str:
    """`; did you mean 'conv_vae'?`, or nothing when nothing is near."""
    close = nearest(word, choices)
    return f"; did you mean '{close}'?" if close else ""


def _recipe_decorator(node: ast.stmt) -> ast.Call | None:
    for decorator in getattr(node, "decorator_list", []):
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).rpartition(".")[2] == "recipe":
            return decorator
    return None


def _recipe(file: Path, node: ast.FunctionDef, decorator: ast.Call) -> RecipeInfo:
    try:
        stated = {k.arg: _value(k.value) for k in decorator.keywords if k.arg}
        parameters = _parameters(node)
        defaults = {p.name: ast.literal_eval(p.default) for p in parameters}
    except (ValueError, SyntaxError):
        raise ValueError(f"{file}:{decorator.lineno}: the arguments of @recipe and its defaults must be literals, they are read without running "
                         "the file") from None
    variants = {p.name: choices for p in parameters if (choices := tuple(choices_of(p.type)))}
    form = Form(node.name, defaults, variants, tuple(stated.get("presets", ())))
    return RecipeInfo(node.name, file, node.lineno, parameters, ast.get_docstring(node) or "", form, stated.get("paper", ""),
                      tuple(stated.get("systems", ())))


def _value(node: ast.expr) -> Any:
    """A literal, or a call of preset, at_least or at_most on literals."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in GRAMMAR:
        return GRAMMAR[node.func.id](*map(_value, node.args), **{k.arg: _value(k.value) for k in node.keywords if k.arg})
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(e) for e in node.elts]
    if isinstance(node, ast.Dict):
        return {_value(k): _value(v) for k, v in zip(node.keys, node.values) if k}
    return ast.literal_eval(node)


def _parameters(node: ast.FunctionDef) -> tuple[Parameter, ...]:
    arguments, notes = node.args, argument_notes(ast.get_docstring(node) or "")
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults + arguments.kw_defaults
    return tuple(Parameter(a.arg, ast.unparse(a.annotation) if a.annotation else "", ast.unparse(d) if d else "",
                           notes.get(a.arg) or USUAL.get(a.arg, ""))
                 for a, d in zip([*positional, *arguments.kwonlyargs], defaults))


def argument_notes(doc: str) -> dict[str, str]:
    """What the section "Args:" of a docstring says of each argument: "a, b: of a, of b." or "a, b: of a; of b."
    explains each, another "a, b: ..." both."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", doc, re.MULTILINE)
    notes: dict[str, str] = {}
    for names, text in re.findall(r"^    (\w[\w, ]*): ((?:.*\n?)(?:        .*\n?)*)", section[1] if section else "", re.MULTILINE):
        several, phrase = [name.strip() for name in names.split(",")], " ".join(text.split()).rstrip(".")
        split = next((s for mark in ("; ", ", ") if len(s := phrase.split(mark)) == len(several)), None)
        notes |= dict(zip(several, split)) if split else dict.fromkeys(several, phrase)
    return notes


def choices_of(literal: str) -> list:
    """The values of a Literal[...] as written; nothing for another type."""
    match = re.fullmatch(r"Literal\[(.+)\]", literal, re.DOTALL)
    return list(ast.literal_eval(f"({match[1]},)")) if match else []


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [t.id for t in targets if isinstance(t, ast.Name)]
