"""The rules of the house, read from the source: floors, headers, docstrings, sizes, and that the catalogue tells the truth."""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest

from deepcanon import catalogue
from deepcanon.catalogue import choices_of
from deepcanon.cli.flags import split_union
from deepcanon.data.kinds import KINDS
from deepcanon.lazy import homes

SRC, TESTS = catalogue.PACKAGE, Path(__file__).parent
GROUND = {"layers", "nets", "metrics", "engine", "data", "recipes", "claims", "integrations", "report", "cli"}
FAMILIES = {folder.name for folder in SRC.iterdir() if (folder / "__init__.py").is_file()} - GROUND
FILES = {path.relative_to(SRC).as_posix(): path for path in sorted(SRC.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
CANON, RECIPES = catalogue.entries(), catalogue.recipes()

BASE = {"torch", "jaxtyping", "deepcanon.lazy", *sys.stdlib_module_names}
MAY_IMPORT = {"layers": BASE, "nets": {*BASE, "deepcanon.layers"}, "metrics": {*BASE, "numpy", "deepcanon.layers", "deepcanon.nets"}}
FAMILY_MAY_IMPORT = {*BASE, "deepcanon.layers", "deepcanon.nets", "deepcanon.metrics"}
EXTRA = {"rl": {"numpy"}, "explain": {"sklearn"}}


def room(name: str) -> str:
    """The folder below the package that a file lies in; "" for the package itself."""
    return name.partition("/")[0] if "/" in name else ""


def imported(name: str) -> Iterator[str]:
    """Every module that a file imports, at the top or inside a function, relative imports spelt out."""
    package = ["deepcanon", *name.split("/")[:-1]]
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names) if module == "deepcanon" else [module]


def short(module: str) -> str:
    """torch for torch.nn, deepcanon.vae for deepcanon.vae.elbo."""
    return ".".join(module.split(".")[: 2 if module.startswith("deepcanon") else 1])


def none(offenders) -> None:
    """Pass when there is none; else name every one."""
    offenders = [str(offender) for offender in offenders]
    assert not offenders, "\n" + "\n".join(offenders)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def code_lines(node: ast.AST, path: Path) -> int:
    """Lines that are neither blank nor a comment nor part of a docstring."""
    lines = path.read_text(encoding="utf-8").splitlines()
    inside = {i for owner in ast.walk(node) if isinstance(owner, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(owner) is not None
              for i in extent(owner.body[0], lines)}
    return sum(1 for i in extent(node, lines) if i not in inside and lines[i - 1].strip() and not lines[i - 1].lstrip().startswith("#"))


def extent(node: ast.AST, lines: list[str]) -> range:
    """Numbers of the lines of a node; a module is all of its file."""
    return range(node.lineno, (node.end_lineno or node.lineno) + 1) if isinstance(node, ast.stmt) else range(1, len(lines) + 1)


def marked_rows() -> dict[str, list[str]]:
    """Catalogue ids named by @pytest.mark.row -> the tests that name them."""
    rows: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.row":
                for argument in node.args:
                    rows.setdefault(ast.literal_eval(argument), []).append(f"{path.relative_to(TESTS)}:{node.lineno}")
    return rows


@pytest.mark.parametrize("name", [n for n in FILES if room(n) in {"layers", "nets", "metrics"} | FAMILIES])
def test_floors_of_layers_nets_metrics_and_families(name):
    own = room(name)
    allowed = MAY_IMPORT.get(own, FAMILY_MAY_IMPORT) | EXTRA.get(own, set()) | {f"deepcanon.{own}"}
    none(sorted({m for m in imported(name) if short(m) not in allowed}))


@pytest.mark.parametrize("name", [n for n in FILES if room(n) in {"engine", "data"}])
def test_engine_and_data_know_no_family(name):
    barred = {f"deepcanon.{family}" for family in FAMILIES | {"recipes", "claims", "cli"}} | ({"deepcanon.engine"} if room(name) == "data" else set())
    none(sorted({m for m in imported(name) if short(m) in barred}))


def test_the_catalogue_side_imports_no_torch():
    light = ["__init__.py", "lazy.py", "catalogue.py", "grammar.py", "search.py", "errors.py", "recipes/__init__.py", "data/sets.py", "data/kinds.py",
             *(f"cli/{name}.py" for name in ("__init__", "flags", "terminal", "list", "find", "show", "train", "compare", "prove"))]
    none(name for name in light if "torch" in set(imported(name)))


def test_no_function_has_the_name_of_its_module():
    none(f"{name}: {node.name}" for name, tree in TREES.items() for node in tree.body
         if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == Path(name).stem)


@pytest.mark.parametrize("family", sorted(FAMILIES | {"layers", "nets", "metrics", "engine", "data", "report", "claims"}))
def test_names_of_a_family_are_imported_on_first_use(family):
    package = importlib.import_module(f"deepcanon.{family}")
    assert dir(package) == package.__all__ == sorted(homes(FILES[f"{family}/__init__.py"].read_text(encoding="utf-8")))
    none(name for name in package.__all__ if not hasattr(package, name))
    none(f"{name} is a submodule and another object" for name in package.__all__
         if f"{family}/{name}.py" in FILES and getattr(package, name) is not importlib.import_module(f"deepcanon.{family}.{name}"))
    with pytest.raises(AttributeError, match=f"module 'deepcanon.{family}' has no attribute 'nothing'"):
        _ = package.nothing
    top = [node for node in TREES[f"{family}/__init__.py"].body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {getattr(node, "module", "") for node in top} == {"typing", "deepcanon.lazy"}


def test_the_families_export_what_the_catalogue_names():
    built = [(entry.where, *entry.where.removeprefix("deepcanon.").partition(":")[0].split(".")) for entry in CANON.values() if entry.where]
    none(where for where, family, module in (b for b in built if len(b) == 3)
         if not {module, where.partition(":")[2].partition(".")[0]} & set(importlib.import_module(f"deepcanon.{family}").__all__))


def test_every_file_opens_with_a_header():
    none(name for name, tree in TREES.items() if not ast.get_docstring(tree))


def test_public_functions_and_classes_have_docstrings():
    public = {name: tree for name, tree in TREES.items() if room(name) in FAMILIES | GROUND - {"recipes"}}
    none(f"{name}:{node.lineno} {node.name}" for name, tree in public.items() for node in tree.body
         if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node))


def test_method_files_are_short():
    sizes = {name: code_lines(tree, FILES[name]) for name, tree in TREES.items() if room(name) in FAMILIES}
    none(f"{name}: {size} code lines" for name, size in sizes.items() if size > 150)


def test_functions_are_short():
    sizes = {f"{name}:{f.lineno} {f.name}": code_lines(f, FILES[name]) for name, tree in TREES.items() for f in functions(tree)}
    none(f"{name}: {size} code lines" for name, size in sizes.items() if size > 40)


def test_what_a_method_may_hold_can_be_pickled():
    """No lambda in a constant, and no function that gives back one of its own functions."""
    rooms = FAMILIES | {"metrics"}
    body = [(name, node) for name, tree in TREES.items() for node in tree.body
            if room(name) in rooms or name == "engine/schedules.py"]
    none(f"{name}:{node.lineno} {ast.unparse(node)[:60]}" for name, node in body
         if isinstance(node, ast.Assign | ast.AnnAssign)
         and any(isinstance(part, ast.Lambda) for part in ast.walk(node)))
    none(f"{name}:{node.lineno} {f.name}" for name, f in body if isinstance(f, ast.FunctionDef)
         for node in ast.walk(f) if isinstance(node, ast.Return) and gives_back_a_function(node.value, f))


def gives_back_a_function(value: ast.expr | None, f: ast.FunctionDef) -> bool:
    """Whether this is a lambda or a function defined in f, alone or as an argument of a class."""
    own = {node.name for node in f.body if isinstance(node, ast.FunctionDef)}
    made = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id[0].isupper()
    candidates = [*value.args, *(k.value for k in value.keywords)] if made else [value]
    return any(isinstance(c, ast.Lambda) or (isinstance(c, ast.Name) and c.id in own) for c in candidates)


def test_methods_see_no_device_and_read_no_numbers_back():
    methods = {name: tree for name, tree in TREES.items() if room(name) in FAMILIES | {"layers", "nets"}}
    none(f"{name}:{node.lineno} .{node.func.attr}()" for name, tree in methods.items() for node in ast.walk(tree)
         if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"cuda", "item"})


def test_lines_fit_and_nothing_is_left_for_later():
    later = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    paths = [*FILES.values(), *TESTS.rglob("*.py")]
    lines = [(path, i, line) for path in paths for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)]
    none(f"{path}:{i}: {line.strip()[:60]}" for path, i, line in lines if len(line) > 150 or later.search(line))


def test_everything_built_imports():
    for entry in CANON.values():
        if entry.where:
            assert re.fullmatch(r"deepcanon(\.\w+)+:\w+(\.\w+)*", entry.where), f"{entry.id}: {entry.where}"
            attrgetter(entry.where.partition(":")[2])(importlib.import_module(entry.module))
            assert catalogue.locate(entry.where)[0].is_file()


def test_everything_built_is_tested_and_every_mark_is_an_id():
    marked = marked_rows()
    none(f"{entry.id} has a `where` and no test" for entry in CANON.values() if entry.where and entry.id not in marked)
    none(f"{row} is no id: {tests}" for row, tests in marked.items() if row not in CANON)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_recipes_state_what_they_are(recipe):
    assert recipe.summary.endswith((".", "!")), "the first line of the docstring is what `deepcanon list` prints"
    assert any(call.target or call.expect for call in catalogue.calls(recipe)), "a target, or what is expected, on one known data set or more"
    assert recipe.paper
    assert recipe.systems
    assert set(recipe.systems) <= CANON.keys()
    assert recipe.form.data, "the data are an argument"
    assert "seed" in recipe.form.defaults
    assert len(recipe.parameters) <= 15
    assert all(p.default for p in recipe.parameters), "every argument has a default"
    none(f"{p.name} is not explained" for p in recipe.parameters if not p.note)
    plain = {"int", "float", "str", "bool", "None", *KINDS}
    none(f"{p.name}: {p.type}" for p in recipe.parameters if not all(kind in plain or choices_of(kind) for kind in split_union(p.type)))
    places = {path for path in (SRC / "recipes").rglob("*") if path.suffix in ("", ".py")}
    assert recipe.name not in {path.stem for path in places}, "a file or folder has this name"


def test_recipes_are_short_with_all_that_they_share():
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in (SRC / "recipes").rglob("*.py"))
    assert lines <= 62 * len(RECIPES)


def test_recipes_of_the_catalogue_exist_and_show_what_they_say():
    none(f"{e.id}: {e.recipe}" for e in CANON.values() if e.recipe and (e.recipe not in RECIPES or e.id not in RECIPES[e.recipe].systems))
