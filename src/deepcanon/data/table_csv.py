"""Rows of a text file with separators: which separator, which row has the names, which lines are no rows.

The cells are read as texts by Python's csv module, which keeps count of the rows, and typed a column at a
time.
"""

import csv
import gzip
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from . import downloads
from .notices import counted
from .table_cells import PATTERNS

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
SAMPLE = 200                    # rows that are looked at to find the separator
CHUNK = 20_000                  # rows that are typed at a time


class Layout(NamedTuple):
    """How a file is laid out: its separator, the names of its columns, how many lines come before its first
    row of data."""

    separator: str
    names: list[str]
    skipped: int
    notes: list[str]


def opened(path: Path, encoding: str) -> io.TextIOBase:
    """The file as text with its line ends, unpacked if it is a `.gz`."""
    if downloads.is_packed(path):
        return io.TextIOWrapper(gzip.open(path), encoding=encoding, newline="")
    return open(path, encoding=encoding, newline="")


def lines_of(file: io.TextIOBase) -> Iterator[str]:
    """The lines of a file without the byte order mark."""
    for i, line in enumerate(file):
        yield line.removeprefix("\ufeff") if i == 0 else line


def layout(path: Path, encoding: str, separator: str | None, names: Sequence[str] | None) -> Layout:
    """Find the separator and the names.

    Args:
        separator: None: comma, semicolon, tab or pipe, whichever gives each row as many cells as the first.
        names: of the columns, when the file has no row of names.

    Raises:
        ValueError: no row, names that look like data, two columns of one name.
    """
    with opened(path, encoding) as file:
        lines = lines_of(file)
        comments = list(itertools.takewhile(lambda line: line.startswith("#") or not line.strip(), lines))
        with opened(path, encoding) as again:
            sample = list(itertools.islice(itertools.islice(lines_of(again), len(comments), None), SAMPLE))
    tabs = path.name.removesuffix(".gz").lower().endswith((".tsv", ".tab"))
    separator = separator or sniffed(sample, tabs)
    rows = [row for row in parsed(sample, separator) if row]
    said = [line for line in comments if line.startswith("#")]
    notes = [f"{counted(len(said), 'line')} before the names that begin with # left out"] if said else []
    if not rows:
        unread = any(line.strip() for line in sample)
        why = f", but a line of {len(sample[0]):,} characters that cannot be read" if unread else ""
        raise ValueError(f"{path}: expected a row of names and at least two rows, found none{why}")
    if names is not None:
        return Layout(separator, list(names), len(comments), notes)
    header = [cell.strip() for cell in rows[0]]
    if looks_like_data(header):
        above = [cell.strip() for cell in said[-1].lstrip("# ").split(separator)] if said else []
        if len(above) != len(header) or looks_like_data(above):
            raise ValueError(f"{path}: expected a row of names first, found {shown(header)}; pass "
                             f"names=[...] for a file without one")
        notes.append("the names were taken from the line that begins with #")
        return Layout(separator, above, len(comments), notes)
    return Layout(separator, header, len(comments) + rows_before(sample, separator), notes)


def rows_before(sample: list[str], separator: str) -> int:
    """Lines that the row of names takes, with what is empty above it."""
    reader = csv.reader(iter(sample), delimiter=separator, skipinitialspace=True)
    next(row for row in reader if row)
    return reader.line_num


def parsed(lines: list[str], separator: str) -> Iterator[list[str]]:
    """The rows of a sample of lines, as far as they can be read."""
    reader = csv.reader(iter(lines), delimiter=separator, skipinitialspace=True)
    while True:
        try:
            yield next(reader)
        except (StopIteration, csv.Error):
            return


def sniffed(sample: list[str], tabs: bool) -> str:
    """The separator that gives the most cells, the same number in every row; else the one that gives the
    first row the most."""
    candidates = ["\t", *SEPARATORS] if tabs else list(SEPARATORS)
    best, most = candidates[0], (False, 1)
    for separator in candidates:
        sizes = [len(row) for row in parsed(sample, separator) if row and not row[0].startswith("#")]
        if sizes and sizes[0] > 1:
            score = (all(size in (sizes[0], sizes[0] + 1) for size in sizes[:-1]), sizes[0])
            best, most = (separator, score) if score > most else (best, most)
    return best


def looks_like_data(header: list[str]) -> bool:
    """Whether more than half of the names are numbers that are no years and do not count the columns."""
    numbers = [cell for cell in header if PATTERNS["."][0].fullmatch(cell)
               or PATTERNS[","][0].fullmatch(cell)]
    if len(numbers) <= len(header) / 2:
        return False
    whole = [int(cell) for cell in numbers if re.fullmatch(r"[0-9]{1,4}", cell)]
    counts = len(whole) > 1 and whole == list(range(whole[0], whole[0] + len(whole)))
    return len(whole) < len(numbers) or not counts


def shown(cells: list[str]) -> str:
    """A row in a message."""
    line = ", ".join(cells[:5]) + (", ..." if len(cells) > 5 else "")
    return line if len(line) < 80 else line[:77] + "..."


def rows(path: Path, encoding: str, plan: Layout, notes: list[str]) -> Iterator[list[list[str]]]:
    """Chunks of rows, each with as many cells as there are names.

    Raises:
        ValueError: a row of another length, a cell of more than 131,072 characters, an open quotation mark.
    """
    width, chunk, count, extra, comments = len(plan.names), [], 0, 0, 0
    with opened(path, encoding) as file:
        reader = csv.reader(itertools.islice(lines_of(file), plan.skipped, None), delimiter=plan.separator,
                            skipinitialspace=True, strict=True)
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise unreadable(path, encoding, plan, count + 1, error) from None
            if row is None:
                break
            if len(row) != width:
                if not row or row[0].lstrip().startswith("#"):
                    comments += bool(row)
                    continue
                if len(row) != width + 1 or row[-1].strip() or extra != count:
                    raise ValueError(f"{path}: row {count + 1} has {len(row)} cells, expected {width} (line "
                                     f"{plan.skipped + reader.line_num}: {shown(row)})")
                extra += 1
                row.pop()
            chunk.append(row)
            count += 1
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
    if extra not in (0, count):
        raise ValueError(f"{path}: row {extra + 1} has {width} cells, expected {width + 1} as in the rows "
                         f"above it")
    notes += [f"{counted(comments, 'line')} between the rows that begin with # left out"] if comments else []
    notes += ["the separator that ends every row was left out"] if extra else []
    if chunk:
        yield chunk


def unreadable(path: Path, encoding: str, plan: Layout, row: int, error: csv.Error) -> ValueError:
    """What is wrong with a row that csv cannot read; a cell that is too long is named by its column."""
    if "field limit" not in str(error):
        return ValueError(f"{path}: row {row} cannot be read ({error}); a quotation mark may be missing")
    limit = csv.field_size_limit(2**30)
    try:
        with opened(path, encoding) as file:
            reader = csv.reader(itertools.islice(lines_of(file), plan.skipped, None),
                                delimiter=plan.separator, skipinitialspace=True)
            cells = next(itertools.islice((cells for cells in reader if cells
                                           and not cells[0].startswith("#")), row - 1, None))
    finally:
        csv.field_size_limit(limit)
    place = max(range(len(cells)), key=lambda i: len(cells[i]))
    name = plan.names[place] if place < len(plan.names) else str(place + 1)
    return ValueError(f"{path}: column '{name}' has a cell of {len(cells[place]):,} characters in row {row}, "
                      f"more than the {limit:,} "
                      "allowed; a quotation mark may be missing")
