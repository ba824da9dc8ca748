"""The page of the verdicts, `docs/claims.md`, made from the statements and their records."""

from pathlib import Path

from deepcanon.claims import index
from deepcanon.engine.checkpoint import write_bytes

START, END = "<!-- verdicts: written by `python -m deepcanon.claims` -->\n", "<!-- end of verdicts -->"


def table() -> str:
    """The verdicts as Markdown, one table an area, one row a statement."""
    parts = []
    for area, statements in index.areas().items():
        rows = ["| id | statement | course | verdict | measured |", "| --- | --- | --- | --- | --- |"]
        for s in statements:
            record = index.record(s.id)
            verdict, found = (record["verdict"], measured(record)) if record else ("not measured yet", "")
            cells = (s.id, s.text, index.ANSWERS[s.answer], verdict, found)
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        parts.append(f"### {area.replace('_', ' ').capitalize()}\n\n" + "\n".join(rows))
    return "\n\n".join(parts)


def measured(record: dict) -> str:
    """The numbers of a record, intervals in brackets, then its note."""
    numbers = [f"{name.replace('_', ' ')} = {value}" for name, value in index.numbers(record).items()]
    return f"{'; '.join(numbers)}. {record['note']}".removesuffix(" ")


def write_page(page: Path = Path("docs/claims.md")) -> None:
    """Put the tables between the two marks of the page. Raises ValueError for a page without the marks."""
    text = page.read_text(encoding="utf-8")
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"{page} has no place for the verdicts")
    write_bytes(page, (before + start + table() + "\n" + end + after).encode())
