"""The records of the benchmarks as the table of the README, between its two marks: python benchmarks/table.py"""

from pathlib import Path

from record import HEAD, RESULTS, rows

from deepcanon.engine.checkpoint import read_json, write_bytes

START, END = "<!-- speed -->\n", "<!-- end of speed -->"


def table(folder: Path = RESULTS) -> str:
    """All records of a folder; nothing when there is none."""
    lines = [row for file in sorted(folder.glob("bench_*.json")) for row in rows(read_json(file))]
    return "\n".join([HEAD, *lines]) + "\n" if lines else ""


def write_table(page: Path = RESULTS.parent / "README.md", folder: Path = RESULTS) -> None:
    """Put the table between the marks of the page."""
    before, start, rest = page.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"{page} has no place for the benchmarks: expected the lines {START.strip()} and {END}")
    write_bytes(page, (before + start + table(folder) + end + after).encode())


if __name__ == "__main__":
    write_table()
