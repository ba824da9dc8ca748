"""`deepcanon data`: the known data sets, and what would be read of your own."""

import json
import warnings
from typing import Any

from deepcanon.catalogue import suggest
from deepcanon.cli.flags import Parser, add_reading_options, data, reading_options
from deepcanon.cli.terminal import fields, footer, several, table
from deepcanon.errors import UsageError, as_flags

ACTIONS = ("list", "get", "where", "check")


def main(words: list[str]) -> int | None:
    """Known data sets: list, get, where; your own: check."""
    parser = Parser("data", "list | get NAME | where NAME | check PATH",
                    "The known data sets. Your own folder or file needs no name: its path will do; "
                    "`check` prints what would be read of it and what would not.")
    parser.add_argument("action", metavar="list|get|where|check")
    parser.add_argument("name", nargs="?", metavar="NAME|PATH", type=data)
    parser.add_argument("--kind", metavar="KIND",
                        help="what to read it as: images, boxes, masks, captions, table, text, points, arrays or env (default: by what it is)")
    parser.add_argument("--target", metavar="COLUMN", help="the column of a table to predict")
    add_reading_options(parser)
    asked = parser.parse(words)
    read = reading_options(asked) | ({"target": asked.target} if asked.target else {})
    if asked.action not in ACTIONS:
        raise UsageError(f"deepcanon data has no '{asked.action}'{suggest(asked.action, ACTIONS) or ': list, get NAME, where NAME or check PATH'}")
    if asked.action == "list" and asked.name is not None:
        parser.error(f"unexpected '{asked.name}'")
    elif asked.action == "list":
        show_list()
    elif asked.name is None:
        raise UsageError(f"deepcanon data {asked.action} needs a {'path' if asked.action == 'check' else 'name'}; see deepcanon data --help")
    elif asked.action == "check":
        return check(asked.name, asked.kind, read)
    else:
        (get if asked.action == "get" else where)(asked.name)
    return None


def show_list() -> None:
    """Every named set and whether it is on this machine."""
    from deepcanon.data import downloads, sets

    def state(s: sets.DataSet) -> str:
        if s.by_hand:
            return "here" if downloads.local(s.by_hand) else "by hand"
        return "embedded" if not s.files else "here" if len(downloads.where(s.name)) == len(s.files) else "to fetch"

    table(["name", "kind", "files", "what it is", "licence"], [[s.name, s.kind, state(s), s.about, s.licence] for s in sets.SETS.values()])
    footer("Looked for in the folder that DEEPCANON_DATA names, else fetched when first used.")


def get(name: str) -> None:
    """Fetch what is missing, check all, print the paths."""
    from deepcanon.data import downloads

    files = downloads.get(name)
    print("\n".join(map(str, files)) if files else f"{name} is embedded: nothing to fetch")


def where(name: str) -> None:
    """Print the paths of the files that are here."""
    from deepcanon.data import downloads, sets

    files = downloads.where(name)
    if not files and sets.lookup(name).files:
        raise FileNotFoundError(f"{name} is not on this machine yet: deepcanon data get {name}")
    print("\n".join(map(str, files)) if files else f"{name} is embedded: it needs no file")


def check(name: str, kind: str | None, read: dict) -> int:
    """Print what would be read; status 1 where it cannot be read as it is."""
    from deepcanon.data.description import describe
    from deepcanon.data.notices import DataNotice

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNotice)                        # they stand among the notes
        found = describe(name, kind, **read)
    columns = [c for c in found.pop("columns", []) if isinstance(c, dict)] if found["kind"] == "table" else []
    fields([pair for key, value in found.items() for pair in several(key.replace("_", " "), lines_of(value))])
    if columns:
        print()
        table(["column", "read as", "missing", "different"],
              [[c["name"], c["type"], str(c["missing"] or ""), str(c["distinct"])] for c in columns])
    return int(bool(found.get("problems")))


def lines_of(value: Any) -> list[str]:
    """A value of a description in words: a line for each entry of what is nested or a list of sentences."""
    if isinstance(value, dict):
        told = {key: ", ".join(lines_of(v)) for key, v in value.items() if lines_of(v)}
        if any(" " in key or " " in text for key, text in told.items()):
            return [f"{key}: {text}" for key, text in told.items()]
        return [", ".join(f"{key} {text}" for key, text in told.items())] if told else []
    if isinstance(value, list):
        sentences = any(isinstance(v, str) and " " in v.strip() for v in value)
        return [as_flags(v) for v in value] if sentences else [f"[{', '.join(map(shown, value))}]"] if value else []
    return [] if value is None else [as_flags(str(value))]


def shown(value: Any) -> str:
    """An entry of a list: words as they are, blanks and line ends in quotes."""
    return value if isinstance(value, str) and value.strip() else json.dumps(value, ensure_ascii=False, default=str)
