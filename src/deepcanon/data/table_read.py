"""A table from where its user has it: a file, a frame, columns, arrays; as columns whose cells have been
looked at.

pandas reads Parquet, Excel and Feather files and tells apart the words of a column. Of a frame the types that
it declares are kept.
"""

import hashlib
import os
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import downloads, sets
from .table_cells import EXACT, PATTERNS, Cells, Column, days_of
from .table_columns import category_column, counts_rows, typed_column
from .table_csv import layout, rows
from .table_named import named_columns
from .text_encoding import scan

Values = np.ndarray | Column
BINARY = {".parquet": "read_parquet", ".xlsx": "read_excel", ".xls": "read_excel", ".ods": "read_excel",
          ".feather": "read_feather"}


class Reading(NamedTuple):
    """How a table is read; None: found from the file."""

    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    missing: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None


@dataclass
class Table:
    """The columns of a table, with what was found out on the way."""

    columns: dict[str, Column]
    rows: int
    sha256: str = ""
    layout: dict[str, str] = field(default_factory=dict)        # separator, decimal, encoding of a text file
    notes: list[str] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)       # columns left out already, and why


class Handle:
    """A table that is read when it is needed; equal to another handle of the same content.

    Args:
        name: what messages and keys call it.
        version: changes when the content does.
        read: reads it, as a `Table` or what else its user makes of it.
    """

    def __init__(self, name: str, version: Hashable, read: Callable[[Reading], Any]):
        self.name, self.version, self.read = name, version, read

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and (self.name, self.version) == (other.name, other.version)

    def __hash__(self) -> int:
        return hash((self.name, self.version))


def handle(source: Any) -> Handle:
    """The table that a source names or holds.

    Args:
        source: a known name; a path (CSV, TSV, `.gz` of these, Parquet, Excel, Feather); a pandas or polars
            frame; a Hugging Face data set; a dict of columns; a structured array, or an array (N, D); a pair
            (x, y) of which y is the target.

    Raises:
        ValueError: an unknown name, or an object that is no table.
    """
    if isinstance(source, str) and source in sets.names("table"):
        return Handle(source, None, lambda reading: of_named(source))
    if isinstance(source, str) and not sets.is_path(source) and not Path(source).exists():
        sets.lookup(source, "table")
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        stat = path.stat() if path.is_file() else None
        return Handle(str(source), stat and (stat.st_mtime_ns, stat.st_size),
                      lambda reading: of_file(path, reading))
    columns = columns_of(source)
    digest = hashlib.sha256()
    for name, values in columns.items():
        digest.update(f"{name}\0".encode())
        if isinstance(values, Column):
            digest.update("\0".join(values.words).encode())
            values = values.values
        digest.update(str(values.dtype).encode())
        digest.update(values.tobytes() if values.dtype != object else "\0".join(map(repr, values)).encode())
    name = f"{type(source).__name__}-{digest.hexdigest()[:12]}"
    return Handle(name, None, lambda reading: of_columns(columns, reading, digest.hexdigest()))


def of_named(name: str) -> Table:
    """A known table."""
    columns, sha256 = named_columns(name)
    return of_columns(columns, Reading(), sha256)


def of_file(path: Path, reading: Reading) -> Table:
    """The table of a file."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}" if not path.is_dir()
                                else f"{path} is a folder, expected a file with a table")
    suffix = path.with_suffix("").suffix.lower() if downloads.is_packed(path) else path.suffix.lower()
    if suffix in BINARY:
        return of_columns(frame_columns(with_pandas(path, BINARY[suffix])), reading,
                          hashlib.sha256(path.read_bytes()).hexdigest())
    return of_text(path, reading)


def with_pandas(path: Path, reader: str) -> Any:
    """A Parquet, Excel or Feather file as a frame."""
    import pandas as pd

    if path.suffix.lower() in (".xlsx", ".ods"):
        downloads.check_zip(path)
    try:
        return getattr(pd, reader)(path)
    except ImportError as error:
        needed = "openpyxl" if "excel" in reader else "pyarrow"
        raise ModuleNotFoundError(f"{path}: pandas needs another package to read this kind of file "
                                  f"({error}); "
                                  f"try: pip install {needed}") from None
    except (OSError, ValueError, KeyError) as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{path} is not a readable {path.suffix} file: {why}") from None


def of_text(path: Path, reading: Reading) -> Table:
    """A file of rows with separators."""
    found = scan(path, reading.encoding)
    plan = layout(path, found.encoding, reading.separator, reading.names)
    check_names(str(path), plan.names)
    names = [name or f"\0{i}" for i, name in enumerate(plan.names,
                                                       1)]      # nameless columns get a name no other has
    notes = list(plan.notes)
    if found.guessed:
        notes.append(f"this is not UTF-8, it was read as {found.encoding}; set encoding= if that is wrong")
    cells: list[Cells] = []
    count, decimal = 0, reading.decimal or "."
    for chunk in rows(path, found.encoding, plan, notes):
        columns = list(zip(*chunk, strict=True))
        if not cells:
            decimal = reading.decimal or decimal_mark(str(path), dict(zip(plan.names, columns, strict=True)),
                                                      plan.separator)
            missing = None if reading.missing is None else frozenset(reading.missing)
            cells = [Cells(name, decimal, missing) for name in names]
        for some, texts in zip(cells, columns, strict=True):
            some.add(texts)
        count += len(chunk)
    table = Table({}, count, found.sha256, {"separator": plan.separator, "decimal": decimal,
                                            "encoding": found.encoding}, notes)
    for some in cells:
        keep(table, str(path), some.column())
    return table


def check_names(where: str, names: list[str]) -> None:
    """Refuse two columns of one name."""
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        places = [str(i) for i, name in enumerate(names, 1) if name == twice[0]]
        raise ValueError(f"{where}: the columns {' and '.join(places)} have the same name '{twice[0]}'; give "
                         f"each its own")


def keep(table: Table, where: str, column: Column) -> None:
    """Add a column; one without a name is left out if it is empty or numbers the rows."""
    if not column.name.startswith("\0"):
        table.columns[column.name] = column
    elif not column.present or counts_rows(column):
        why = "holds no value" if not column.present else "numbers the rows"
        table.dropped[f"column {column.name[1:]}"] = f"has no name and {why}"
    else:
        raise ValueError(f"{where}: column {column.name[1:]} has no name; write one in the first row")


def decimal_mark(where: str, columns: Mapping[str, tuple[str, ...]], separator: str) -> str:
    """The decimal mark of a file, from its first rows: the comma where numbers such as 3,14 are and none such
    as 3.14.

    Raises:
        ValueError: both are, or numbers such as 1,234 that may mean either (named).
    """
    found: dict[str, tuple[str, str]] = {}
    for name, texts in columns.items():
        for text in dict.fromkeys(text.strip() for text in texts if "," in text or "." in text):
            bare = text.strip("$€£¥₹% +-")
            if PATTERNS["."][0].fullmatch(bare) and not PATTERNS[","][2].fullmatch(bare):
                found.setdefault("point", (name, text))
                if separator == ",":
                    return "."
            elif "," in bare and PATTERNS[","][2].fullmatch(bare) and not PATTERNS["."][2].fullmatch(bare):
                found.setdefault("comma", (name, text))
            elif "," in bare and PATTERNS["."][2].fullmatch(bare):
                found.setdefault("either" if "." not in bare else "point", (name, text))
    if "comma" not in found:
        if "either" in found and "point" not in found and separator != ",":
            name, text = found["either"]
            raise ValueError(f"{where}: '{text}' in column '{name}' may have a decimal comma or a thousands "
                             f"mark; set decimal=',' or '.'")
        return "."
    if "point" in found:
        (a, one), (b, other) = found["comma"], found["point"]
        raise ValueError(f"{where}: found '{one}' in column '{a}' and '{other}' in column '{b}'; set "
                         f"decimal=',' or '.'")
    return ","


def columns_of(source: Any) -> dict[str, Values]:
    """The columns of an object of the user's, by name, each an array that NumPy or pandas can type."""
    library, frame = type(source).__module__.partition(".")[0], source
    if isinstance(source, tuple) and len(source) == 2:
        return pair_columns(*source)
    if isinstance(source, Mapping):
        return {str(name): as_array(str(name), values) for name, values in source.items()}
    if library == "polars":
        return columns_of(frame.to_dict(as_series=False))
    if library == "datasets":
        return labelled(dict(frame.with_format(None)[:]), frame.features)
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        return frame_columns(source)
    array = as_array("x", source)
    if isinstance(array, Column):
        return {array.name: array}
    if array.dtype.names:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim == 2:
        return {f"x{j}": array[:, j] for j in range(array.shape[1])}
    raise ValueError(f"expected a table (a path, a frame, a dict of columns, an array (N, D) or a pair x, "
                     f"y), got {type(source).__name__}"
                     + (f" {array.shape}" if array.ndim else ""))


def labelled(columns: dict[str, list[Any]], features: Mapping[str, Any]) -> dict[str, Values]:
    """The columns of a Hugging Face data set, labels by their names (a label below 0 is missing)."""
    for name, feature in features.items():
        if names := getattr(feature, "names", None):
            columns[name] = [None if k is None or k < 0 else names[k] for k in columns[name]]
    return columns_of(columns)


def pair_columns(x: Any, y: Any) -> dict[str, Values]:
    """The columns of x, then the target y under its own name, or `y`."""
    columns = columns_of(x)
    if hasattr(y, "columns") and len(y.columns) == 1:
        y = y.iloc[:, 0]
    name = str(getattr(y, "name", None) or "y")
    target = as_array(name, y)
    if isinstance(target, np.ndarray) and target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    if name in columns:
        raise ValueError(f"x has a column '{name}', which is the name of the target; give one of them "
                         f"another name")
    return {**columns, name: target}


def frame_columns(frame: Any) -> dict[str, Values]:
    """The columns of a pandas frame."""
    names = [str(name) for name in frame.columns]
    check_names("the frame", names)
    return {name: as_array(name, frame.iloc[:, j]) for j, name in enumerate(names)}


def as_array(name: str, values: Any) -> Values:
    """One column as an array; the missing values of pandas as objects, its categories as what they are."""
    if hasattr(values, "cat") and hasattr(values.cat, "categories"):
        return category_column(name, values.cat.codes.to_numpy(),
                               [str(word) for word in values.cat.categories])
    if hasattr(values, "detach"):                                          # a tensor
        values = values.detach().cpu().numpy()
    dtype = getattr(values, "dtype", None)
    if dtype is not None and hasattr(values, "isna") and not isinstance(dtype, np.dtype):
        zone = getattr(dtype, "tz", None)
        values = values.dt.tz_convert(None) if zone else values
        values = values.to_numpy(dtype=None if zone else object)
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"column '{name}' holds values of different shapes, expected one number or word in "
                         f"each row") from None
    mixed = isinstance(values, list | tuple) and not all(isinstance(value, str) for value in values)
    if array.dtype.kind == "U" and mixed:
        array = np.empty(len(values),
                         dtype=object)                        # NumPy would write the numbers as words
        array[:] = values
    return array


def of_columns(columns: Mapping[str, Values], reading: Reading, sha256: str) -> Table:
    """A table from arrays, of which each becomes a column by its type."""
    if not columns:
        raise ValueError("expected a table with a column or more, found none")
    sizes = {name: len(values) if isinstance(values, Column) or values.ndim else 0
             for name, values in columns.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"expected columns of one length, found "
                         f"{', '.join(f'{name}: {size}' for name, size in sizes.items())}")
    table = Table({}, next(iter(sizes.values())), sha256)
    for name, values in columns.items():
        named = name.strip() or f"\0{len(table.columns) + 1}"
        keep(table, "the table", values if isinstance(values, Column) else of_array(named, values, reading))
    return table


def of_array(name: str, values: np.ndarray, reading: Reading) -> Column:
    """A column by the type of its array."""
    import pandas as pd

    kind = values.dtype.kind
    if values.ndim != 1:
        raise ValueError(f"column '{name}' has the shape {values.shape}, expected one value in each row")
    if kind == "c":
        raise ValueError(f"column '{name}' holds complex numbers, expected real ones")
    if kind in "SV":
        raise ValueError(f"column '{name}' holds {values.dtype}, expected numbers, words, truths or dates")
    if kind == "O":
        return of_objects(name, values, reading)
    if kind in "UT":
        return of_texts(name, [str(value) for value in values.tolist()], reading)
    missing = np.asarray(pd.isna(values))
    if kind == "M":
        return typed_column(name, days_of(values), missing, "date")
    if kind == "m":
        return typed_column(name, np.where(missing, np.nan, values / np.timedelta64(1, "D")), missing,
                            "number")
    if kind == "b":
        return typed_column(name, values, missing, "boolean")
    return of_numbers(name, values, missing, reading)


def of_objects(name: str, values: np.ndarray, reading: Reading) -> Column:
    """A column of Python's own values: truths, numbers, or texts where they are mixed."""
    missing = np.array([missing_object(value) for value in values], dtype=bool)
    present = values[~missing].tolist()
    odd = next((value for value in present if not isinstance(value, str | int | float | np.generic)
                and not hasattr(value, "isoformat")
                and not hasattr(value, "as_tuple")), None)
    if odd is not None:
        raise ValueError(f"column '{name}' holds values of the type {type(odd).__name__}, expected numbers, "
                         f"words, truths or dates")
    if present and all(isinstance(value, bool | np.bool_) for value in present):
        return typed_column(name, np.where(missing, 0, values).astype(np.float64), missing, "boolean")
    if present and not any(isinstance(value, str | bool) or hasattr(value, "isoformat") for value in present):
        return of_numbers(name, np.array(np.where(missing, 0, values).tolist()), missing, reading)
    texts = ["" if gone else as_text(value) for value, gone in zip(values, missing, strict=True)]
    return of_texts(name, texts, reading)


def of_numbers(name: str, values: np.ndarray, missing: np.ndarray, reading: Reading) -> Column:
    """A column of numbers; whole numbers that float64 cannot hold are taken as texts."""
    if values.dtype.kind in "iuO" and any(isinstance(value, int) and abs(value) > EXACT
                                          for value in extreme(values)):
        texts = ["" if gone else str(value) for value, gone in zip(values.tolist(), missing, strict=True)]
        return of_texts(name, texts, reading)
    return typed_column(name, values, missing, "number")


def extreme(values: np.ndarray) -> list[Any]:
    """The smallest and the largest value, or all of an array of objects."""
    if values.dtype.kind == "O" or not len(values):
        return values.tolist()
    return [int(values.min()), int(values.max())]


def of_texts(name: str, texts: list[str], reading: Reading) -> Column:
    """A column of texts."""
    cells = Cells(name, reading.decimal or ".", None if reading.missing is None
                  else frozenset(reading.missing))
    cells.add(texts)
    return cells.column()


def missing_object(value: Any) -> bool:
    """None, NaN, pandas' NA and NaT."""
    absent = value is None or type(value).__name__ in ("NAType", "NaTType")
    return absent or (isinstance(value, float) and value != value)


def as_text(value: Any) -> str:
    """A value of a column of mixed types as its user would write it."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return repr(value) if isinstance(value, float) else str(value)
