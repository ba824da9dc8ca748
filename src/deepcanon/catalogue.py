"""The catalogue: what there is, read from `canon.toml`, from the source of the recipes and from `results/`, without importing torch.

A recipe is found by `ast`: its signature, its docstring and the literal arguments of its decorator

    @recipe(target={"elbo": at_least(-99.0)}, seconds=60, paper="Kingma & Welling 2014", rows=["GEN-18"])

so that listing and showing cost no more than reading a few files.
"""

import ast
import difflib
import json
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from deepcanon.data.sets import SETS

PACKAGE = Path(__file__).parent
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
    """A keyword argument of a recipe, its type and default as written."""

    name: str
    type: str
    default: str


class RecipeInfo(NamedTuple):
    """A recipe as its source states it; targets as ("elbo", ">=", -99.0)."""

    name: str
    file: Path
    line: int
    parameters: tuple[Parameter, ...]
    doc: str
    target: tuple[tuple[str, str, float], ...]
    published: dict[str, float]
    source: str = ""
    seconds: float | None = None
    paper: str = ""
    rows: tuple[str, ...] = ()
    data: tuple[str, ...] = ()

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(f'{p.name}: {p.type} = {p.default}' for p in self.parameters)})"

    @property
    def summary(self) -> str:
        return self.doc.partition("\n")[0]

    @property
    def module(self) -> str:
        return f"deepcanon.recipes.{self.file.stem}"


@cache
def entries() -> dict[str, Entry]:
    """Every system by its id, in the order of `canon.toml`."""
    with open(PACKAGE / "canon.toml", "rb") as file:
        return {id: Entry(id, **fields) for id, fields in tomllib.load(file).items()}


@cache
def recipes() -> dict[str, RecipeInfo]:
    """Every recipe by its name, file after file."""
    found = {}
    for file in sorted((PACKAGE / "recipes").glob("*.py")):
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
    """What `deepcanon prove` committed for a recipe: results/<name>.json of the repository or of the installed package."""
    for folder in (PACKAGE.parents[1] / "results", PACKAGE / "results"):
        if (folder / f"{name}.json").is_file():
            return json.loads((folder / f"{name}.json").read_bytes())
    return None


def recipes_of(entry: Entry) -> list[RecipeInfo]:
    """The recipes that show a system, the one that shows it best first."""
    named = [r for r in recipes().values() if entry.id in r.rows or r.name == entry.recipe]
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
    """`; did you mean 'vae_mnist'?`, or nothing when nothing is near."""
    close = nearest(word, choices)
    return f"; did you mean '{close}'?" if close else ""


def _recipe_decorator(node: ast.stmt) -> ast.Call | None:
    for decorator in getattr(node, "decorator_list", []):
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).rpartition(".")[2] == "recipe":
            return decorator
    return None


def _recipe(file: Path, node: ast.FunctionDef, decorator: ast.Call) -> RecipeInfo:
    try:
        claims = {k.arg: _targets(k.value) if k.arg == "target" else ast.literal_eval(k.value) for k in decorator.keywords if k.arg}
    except ValueError:
        raise ValueError(f"{file}:{decorator.lineno}: the arguments of @recipe must be literals, they are read without running the file") from None
    fields: dict[str, Any] = {"target": (), "published": {}, **claims, "rows": tuple(claims.get("rows", ())), "data": _data(node)}
    return RecipeInfo(node.name, file, node.lineno, _parameters(node.args), ast.get_docstring(node) or "", **fields)


def _parameters(arguments: ast.arguments) -> tuple[Parameter, ...]:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults + arguments.kw_defaults
    return tuple(Parameter(a.arg, ast.unparse(a.annotation) if a.annotation else "", ast.unparse(d) if d else "")
                 for a, d in zip([*positional, *arguments.kwonlyargs], defaults))


def _targets(node: ast.expr) -> tuple[tuple[str, str, float], ...]:
    """{"elbo": at_least(-99.0)} as (("elbo", ">=", -99.0),)."""
    if not isinstance(node, ast.Dict):
        raise ValueError("expected a dict")
    signs, targets = {"at_least": ">=", "at_most": "<="}, []
    for name, bound in zip(node.keys, node.values):
        if name is None or not isinstance(bound, ast.Call) or ast.unparse(bound.func) not in signs:
            raise ValueError("expected {name: at_least(...) or at_most(...)}")
        targets.append((ast.literal_eval(name), signs[ast.unparse(bound.func)], ast.literal_eval(bound.args[0])))
    return tuple(targets)


def _data(node: ast.FunctionDef) -> tuple[str, ...]:
    """The named sets and the environments that a recipe speaks of."""
    constants = [n for n in ast.walk(node) if isinstance(n, ast.Constant)]
    worlds = [n.args[0] for n in ast.walk(node) if isinstance(n, ast.Call) and ast.unparse(n.func).rpartition(".")[2] == "env" and n.args]
    return tuple(dict.fromkeys(str(n.value) for n in constants if n in worlds or n.value in SETS))


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [t.id for t in targets if isinstance(t, ast.Name)]
