"""The statements, read by `ast` from the source of this package, and their records, without importing torch.

A statement is a function with a decorator whose arguments are literals, and a docstring that opens with the
statement in one sentence:

    @claim("C-002", answer="yes")
    def rmsprop_keeps_its_rate() -> Finding:
        \"""RMSProp's advantage over AdaGrad is a learning rate that does not vanish.

        Under a constant gradient, the length of step k in units of the rate: ...
        \"""
"""

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from deepcanon import catalogue
from deepcanon.catalogue import suggest
from deepcanon.cli.terminal import number

FOLDER = Path(__file__).parent
ANSWERS = {"yes": "true", "no": "false", "contested": "contested"}
CONFIRMED, REFUTED, OPEN = VERDICTS = ("confirmed", "refuted", "not confirmed at this scale")


class Statement(NamedTuple):
    """One statement and where its experiment stands.

    Args:
        text: the statement, one sentence.
        method: how it is checked.
        answer: the course's own, "yes", "no" or "contested".
        area: the file's name; function: the experiment's.
    """

    id: str
    text: str
    method: str
    answer: str
    area: str
    function: str
    line: int

    @property
    def module(self) -> str:
        return f"deepcanon.claims.{self.area}"


@cache
def statements() -> dict[str, Statement]:
    """Every statement by its id, in the order of the ids.

    Raises:
        ValueError: a claim whose source cannot be read as one, or two with the same id.
    """
    found: dict[str, Statement] = {}
    for file in sorted(FOLDER.glob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8"), file).body:
            decorator = _claim_decorator(node)
            if isinstance(node, ast.FunctionDef) and decorator:
                statement = _statement(file, node, decorator)
                if statement.id in found:
                    other = found[statement.id].function
                    raise ValueError(f"{file}:{node.lineno}: {statement.id} is also the id of {other}")
                found[statement.id] = statement
    return dict(sorted(found.items()))


def areas() -> dict[str, list[Statement]]:
    """The statements of each area, areas in the order of their first statement."""
    grouped: dict[str, list[Statement]] = {}
    for statement in statements().values():
        grouped.setdefault(statement.area, []).append(statement)
    return grouped


def statement(id: str) -> Statement:
    """The statement of that id, in either case. Raises ValueError with the nearest one when there is none."""
    known = statements()
    if id.upper() not in known:
        raise ValueError(f"no claim '{id}'{suggest(padded(id), known)}")
    return known[id.upper()]


def chosen(words: list[str]) -> list[Statement]:
    """The statements that ids and areas name, each once, in the order given; "all" names every one.

    Raises:
        ValueError: a word that is neither, with the nearest that is.
    """
    found: dict[str, Statement] = {}
    for word in words:
        if word.lower() == "all":
            named = list(statements().values())
        elif word.lower() in areas():
            named = areas()[word.lower()]
        elif word.upper() in statements():
            named = [statement(word)]
        else:
            hint = suggest(padded(word), [*statements(), *areas(), "all"])
            raise ValueError(f"no claim or area '{word}'{hint or '; see deepcanon claims'}")
        found |= {s.id: s for s in named}
    return list(found.values())


def padded(id: str) -> str:
    """An id with all three digits: C-013 for C-13."""
    return re.sub(r"(?<=^C-)\d+$", lambda digits: digits[0].zfill(3), id, flags=re.IGNORECASE)


def record(id: str) -> dict | None:
    """What was measured last: results/claims/<id>.json of the repository or of the installed package."""
    for folder in (catalogue.PACKAGE.parents[1] / "results", catalogue.PACKAGE / "results"):
        file = folder / "claims" / f"{id}.json"
        if file.is_file():
            return json.loads(file.read_bytes())
    return None


def numbers(record: dict) -> dict[str, str]:
    """The numbers of a record as they are read, each with its interval if it has one of any width."""
    def spread(name: str) -> str:
        low, high = record["intervals"].get(name, (0.0, 0.0))
        return f" ({number(low)} to {number(high)})" if low < high else ""

    return {name: number(value) + spread(name) for name, value in record["measured"].items()}


def _claim_decorator(node: ast.stmt) -> ast.Call | None:
    for decorator in getattr(node, "decorator_list", []):
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "claim":
            return decorator
    return None


def _statement(file: Path, node: ast.FunctionDef, decorator: ast.Call) -> Statement:
    place = f"{file}:{node.lineno}"
    try:
        (id,) = (ast.literal_eval(argument) for argument in decorator.args)
        options = {k.arg: ast.literal_eval(k.value) for k in decorator.keywords}
    except ValueError:
        raise ValueError(f"{place}: @claim takes one id and an answer, both literals") from None
    if not re.fullmatch(r"C-\d{3}", str(id)) or options.get("answer") not in ANSWERS or len(options) > 1:
        raise ValueError(f"{place}: expected @claim('C-123', answer=...) with one of {', '.join(ANSWERS)}")
    text, _, method = (ast.get_docstring(node) or "").partition("\n\n")
    if not text.endswith(".") or not method.strip():
        raise ValueError(f"{place}: expected a docstring of the statement, one sentence, an empty line, "
                         "and how it is checked")
    text, method = (" ".join(part.split()) for part in (text, method))
    return Statement(str(id), text, method, options["answer"], file.stem, node.name, node.lineno)
