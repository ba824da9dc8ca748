"""`deepcanon find`: methods and systems near some words."""

from deepcanon import search
from deepcanon.catalogue import Entry
from deepcanon.cli.flags import Parser
from deepcanon.cli.terminal import table


def main(words: list[str]) -> None:
    """Print what is near, best first."""
    parser = Parser("find", "WORDS", "Methods and systems near these words, best first; a misspelling or the beginning of a word will do.")
    parser.add_argument("words", nargs="+", metavar="WORDS")
    query = " ".join(parser.parse(words).words)
    found = search.find(query)
    if not found:
        raise ValueError(f"nothing is like '{query}'; see `deepcanon list systems`")
    table(["id", "name", "about"], [[f.id, f.name, f.where.removeprefix("deepcanon.") or "not built yet"] if isinstance(f, Entry) else
                                    ["method", f.name, f.summary] for f in found])
