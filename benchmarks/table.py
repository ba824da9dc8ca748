"""The records of the benchmarks as the page docs/speed.md: python benchmarks/table.py"""

from pathlib import Path

from record import HEAD, RESULTS, rows

from deepcanon.engine.checkpoint import read_json, write_bytes

PAGE = RESULTS.parents[1] / "docs" / "speed.md"
OPENING = """# Speed

Beside other libraries, in one run, alternating (`benchmarks/`). A ratio above 1 means that DeepCanon is faster; the overhead is what
a loop adds to one written by hand. These were measured on a CPU without bfloat16 instructions, where the fast switch keeps float32,
unless the record in `results/benchmarks/` says otherwise: targets marked ✗ are not met there. This page is written by `python benchmarks/table.py`.

"""


def table(folder: Path = RESULTS) -> str:
    """All records of a folder; nothing when there is none."""
    lines = [row for file in sorted(folder.glob("*.json")) for row in rows(read_json(file))]
    return "\n".join([HEAD, *lines]) + "\n" if lines else ""


if __name__ == "__main__":
    write_bytes(PAGE, (OPENING + table()).encode())
