"""`deepcanon claims`: the statements of a deep-learning course, each put to the test by a small experiment.

A statement is printed before it is measured, so that a reader can answer first. Listing and asking read the
source and the records alone.
"""

import sys
import textwrap
from collections import Counter
from pathlib import Path

from deepcanon.claims import index
from deepcanon.claims.index import ANSWERS, CONFIRMED, REFUTED, VERDICTS, Statement
from deepcanon.cli.flags import Parser, path
from deepcanon.cli.terminal import fields, footer, number, readable, table, title
from deepcanon.errors import UsageError

SURE = {CONFIRMED: "t", REFUTED: "f"}


def main(words: list[str]) -> int | None:
    """List the statements, ask about them, or measure some; status 1 when an experiment fails to run."""
    parser = Parser("claims", "[WHAT ...] [--flags]",
                    "Statements of a deep-learning course, true and false ones, each put to the test by a "
                    "small experiment. Without WHAT: all of them, with what was measured.",
                    "areas: " + ", ".join(index.areas()))
    parser.add_argument("what", nargs="*", metavar="WHAT",
                        help="ids such as C-021, areas such as optimization, or all: measure these")
    parser.add_argument("--quiz", action="store_true",
                        help="show the statements alone and ask; the verdict comes after the answer")
    parser.add_argument("--record", action="store_true", help="write what was measured to DIR/ID.json")
    parser.add_argument("--out", type=path, default=Path("results/claims"), metavar="DIR",
                        help="where records go (default results/claims)")
    asked = parser.parse(words)
    if asked.record and (asked.quiz or not asked.what):
        raise UsageError("claims: --record needs the ids or areas to measure, and no --quiz")
    try:
        statements = index.chosen(asked.what or ["all"])
    except ValueError as error:
        raise UsageError(str(error)) from None
    if asked.quiz:
        return quiz(statements)
    if not asked.what:
        return overview(statements)
    return run(statements, asked.out if asked.record else None)


def overview(statements: list[Statement]) -> None:
    """Every statement and its recorded verdict."""
    verdicts = [(index.record(s.id) or {}).get("verdict", "not measured yet") for s in statements]
    rows = [[s.id, verdict, s.area, s.text] for s, verdict in zip(statements, verdicts)]
    table(["id", "verdict", "area", "statement"], rows)
    footer(f"{tally(verdicts)}. Next: deepcanon claims {statements[0].id}")


def quiz(statements: list[Statement]) -> None:
    """The statements alone; on a terminal each is asked, and its recorded verdict follows the answer."""
    asks, right, answered = on_terminal(), 0, 0
    for s in statements:
        title(f"{s.id}  {s.text}")
        if not asks:
            continue
        reply = answer()
        if reply == "q":
            break
        record = index.record(s.id)
        if record is None:
            print(f"not measured yet: deepcanon claims {s.id}\n")
            continue
        fields(record_fields(record))
        print()
        if reply in SURE.values() and record["verdict"] in SURE:
            answered, right = answered + 1, right + (reply == SURE[record["verdict"]])
    if answered:
        print(f"{right} of {answered} as measured.")


def answer() -> str:
    """The first letter of a reply; q at the end of the input."""
    try:
        return input("true or false? (t, f, Enter to see the verdict, q to end) ").strip().lower()[:1]
    except EOFError:
        print()
        return "q"


def on_terminal() -> bool:
    """Whether somebody can read and answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def run(statements: list[Statement], out: Path | None) -> int:
    """Measure statements and print what was found; write it to the folder `out` if there is one."""
    from deepcanon.claims.experiment import measure, write

    verdicts, failed = [], 0
    for s in statements:
        title(f"{s.id}  {s.text}")
        print(textwrap.fill(s.method, 98), end="\n\n", flush=True)
        try:
            result = measure(s.id)
        except Exception as error:
            if len(statements) == 1:
                raise
            message = f"{type(error).__name__}: {' '.join(str(error).split())}"
            print(f"deepcanon: {s.id} failed: {message}", file=sys.stderr, flush=True)
            failed += 1
            continue
        path = readable(write(result, out)) if out else ""
        fields([*record_fields(result.record()), ("seconds", number(result.seconds)), ("record", path)])
        print(flush=True)
        verdicts.append(result.finding.verdict)
    if len(statements) > 1:
        print(tally(verdicts) + (f", {failed} failed" if failed else "") + ".")
    return int(failed > 0)


def record_fields(record: dict) -> list[tuple[str, str]]:
    """Verdict, the course's answer, numbers with their intervals, and the note."""
    course, numbers = ANSWERS[record["answer"]], index.numbers(record)
    return [("verdict", record["verdict"]), ("course", course), *numbers.items(), ("note", record["note"])]


def tally(verdicts: list[str]) -> str:
    """How many of each verdict."""
    counts = Counter(verdicts)
    return ", ".join(f"{counts[v]} {v}" for v in [*VERDICTS, "not measured yet"] if counts[v])
