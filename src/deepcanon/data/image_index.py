"""Every picture of a source before any is decoded: where it is, its class, its split.

A source is a folder, a CSV file of paths and labels, a frame with the same columns, an image file, a list of
files, arrays, a data set, or a dict of these by split. Each becomes an `Index`.
"""

import csv
import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from . import folder, image_objects
from .image_notices import some
from .notices import counted

PATH = ("path", "file", "filename", "file_name", "filepath", "image", "img")
LABEL = ("label", "class", "target", "category", "labels", "class_name")
SPLIT = ("split", "set", "subset", "partition")
TABLES = {".csv", ".tsv"}


@dataclass
class Index:
    """The pictures of a source.

    Attributes:
        name: of the source, in messages.
        rows: what each picture is decoded from, by number.
        names: of each picture: its path, or `row 3`.
        labels: the number of its class.
        splits: `train`, `val` or `test`; None: not split yet.
        classes: names.
        bytes: of each file; none for objects.
        bad: what cannot be a picture -> why.
        others: files that are no pictures; `left_out`: pictures in no split.
        notes: what is worth saying.
        parallel: whether rows may be read by several threads.
        strict: whether a class must be in the test split.
        stamp: changes when the pictures do; None: whether they have changed is not known.
    """

    name: str
    rows: Sequence[Any]
    names: Sequence[str]
    labels: list[int]
    classes: list[str]
    splits: list[str] | None = None
    bytes: list[int] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parallel: bool = True
    strict: bool = False
    stamp: Hashable = None

    def only(self, rows: Sequence[int]) -> "Index":
        """These pictures, and none that cannot be read."""
        return replace(
            self,
            rows=Picked(self.rows, rows),
            names=[self.names[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            splits=self.splits and [self.splits[row] for row in rows],
            bytes=self.bytes and [self.bytes[row] for row in rows],
            bad={},
        )


def split_index(index: Index, split: str) -> None:
    """Split an index that has no splits; ValueError when a split, or a class of one, is missing."""
    if index.splits is None:
        held = (
            folder.held_out(index.names, index.labels)
            if index.bytes
            else image_objects.held_out(index.labels)
        )
        index.splits, index.strict = ["test" if test else "train" for test in held], False
    check_splits(index, split)


def unsplit(source: Any, predict: bool = False) -> Index:
    """The index of a source, with the splits that it has itself."""
    if isinstance(source, str | os.PathLike):
        return of_path(Path(source), predict)
    if isinstance(source, Mapping):
        return joined(source)
    if image_objects.is_frame(source):
        return of_table("the frame", {str(name): list(source[name]) for name in source.columns}, Path())
    if (
        isinstance(source, list | tuple)
        and source
        and all(isinstance(item, str | os.PathLike) for item in source)
    ):
        return of_files([Path(item) for item in source])
    return Index(**image_objects.parts(source))


def of_path(path: Path, predict: bool) -> Index:
    """A folder, a table of paths, or one image file."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return of_folder(path, predict)
    if not os.path.lexists(path):
        raise FileNotFoundError(
            f"there is no {'file' if suffix in TABLES | folder.SUFFIXES else 'folder'} {path}"
        )
    if suffix in TABLES:
        return of_table(str(path), read_table(path), path.parent)
    if suffix in folder.ARCHIVES:
        raise ValueError(f"{path} is an archive: unpack it and give the folder")
    if suffix in (".npy", ".npz"):
        raise ValueError(f"{path} holds arrays: load it with numpy.load and give the arrays (x, y)")
    if suffix not in folder.SUFFIXES:
        raise ValueError(
            f"{path} is no folder, no CSV file and no image that is read "
            f"({', '.join(sorted(folder.SUFFIXES))})"
        )
    return of_files([path])


def of_folder(root: Path, predict: bool) -> Index:
    """The pictures of a folder; to predict, folders that say nothing clear about classes are no mistake."""
    found = folder.scan(root)
    name = root.name or root.resolve().name
    try:
        arranged = folder.arranged(root, found)
    except (ValueError, FileNotFoundError):
        if not predict or not found.pictures:
            raise
        arranged = folder.Arranged(
            [], {folder.directory(path): (None, "") for path in (*found.pictures, *found.bad)}, [], []
        )
    places = {path: arranged.places[parts] for path in found.pictures
              if (parts := folder.directory(path)) in arranged.places}
    kept = sorted(places, key=lambda path: places[path][1])  # stable: by name inside a class
    number = {kind: k for k, kind in enumerate(arranged.classes)}
    splits = [split for path in kept if (split := places[path][0])]
    notes = list(arranged.notes)
    tables = [other for other in found.others if PurePath(other).suffix.lower() in TABLES and "/" not in other]
    if tables and len(arranged.classes) == 1:
        notes.append(f"give {root / tables[0]} to use the labels of that file")
    return Index(
        name,
        [str(root / path) for path in kept],
        kept,
        [number.get(places[path][1], 0) for path in kept],
        arranged.classes,
        splits or None,
        [found.pictures[path][0] for path in kept],
        found.bad,
        found.others,
        [path for path in found.pictures if path not in places],
        notes,
        strict=True,
        stamp=(str(root.resolve()), predict, hash(tuple(found.pictures.items())), tuple(found.bad), tuple(found.others)),
    )


def of_files(paths: Sequence[Path]) -> Index:
    """Image files, without classes."""
    bad, kept = {}, []
    for path in paths:
        try:
            wrong = folder.why_not(os.stat(path))
        except FileNotFoundError:
            wrong = "there is no such file" if not path.is_symlink() else "a link that leads nowhere"
        except OSError as error:
            wrong = folder.reason(error)
        bad.update({str(path): wrong} if wrong else {})
        kept.extend([path] if not wrong else [])
    names = [str(path) for path in kept]
    title = names[0] if len(names) == 1 else counted(len(names), "file")
    stats = [path.stat() for path in kept]
    stamp = hash(
        tuple((name, status.st_size, status.st_mtime_ns) for name, status in zip(names, stats, strict=True))
    )
    return Index(
        title,
        names,
        names,
        [0] * len(names),
        [],
        None,
        [status.st_size for status in stats],
        bad,
        stamp=stamp,
    )


def read_table(path: Path) -> dict[str, list[str]]:
    """The columns of a CSV or TSV file with a header, as text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            head = stream.readline()
            stream.seek(0)
            separator = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=head.count)
            header, *rows = [row for row in csv.reader(stream, delimiter=separator) if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a table in UTF-8: {error}") from None
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise ValueError(f"{path}: row {number} has {len(row)} cells, expected {len(header)}")
    return {name.strip(): [row[i] for row in rows] for i, name in enumerate(header)}


def of_table(name: str, columns: Mapping[str, Sequence[Any]], base: Path) -> Index:
    """Paths and labels by row; paths are relative to `base`."""
    path, label, split = (column(columns, known) for known in (PATH, LABEL, SPLIT))
    if path is None:
        raise ValueError(
            f"{name} has no column of paths ({', '.join(PATH)}); it has {', '.join(columns) or 'no columns'}"
        )
    cells = [text(name, path, row, cell) for row, cell in enumerate(columns[path], 1)]
    if not cells:
        raise ValueError(f"{name} has no rows")
    answers = (
        [text(name, label, row, cell) for row, cell in enumerate(columns[label], 1)]
        if label
        else [""] * len(cells)
    )
    refuse_two_labels(name, cells, answers)
    splits = [split_name(name, row, cell) for row, cell in enumerate(columns[split], 1)] if split else None
    index = of_files([base / cell for cell in cells])
    readable = [row for row, cell in enumerate(cells) if str(base / cell) not in index.bad]
    classes = image_objects.ordered(set(answers)) if label else []
    number = {kind: k for k, kind in enumerate(classes)}
    index.name, index.names, index.classes = PurePath(name).name, [cells[row] for row in readable], classes
    index.labels = [number.get(answers[row], 0) for row in readable]
    index.splits = with_test([splits[row] for row in readable]) if splits else None
    unused = [other for other in columns if other not in (path, label, split)]
    index.stamp = (
        index.stamp,
        tuple(index.names),
        tuple(index.labels),
        tuple(classes),
        tuple(index.splits or ()),
    )
    index.notes = [
        f"paths from column {path}, "
        + (f"classes from column {label}" if label else f"no column of classes ({', '.join(LABEL)})")
        + (f", splits from column {split}" if split else "")
        + (f"; not used: {some(unused)}" if unused else "")
    ]
    return index


def column(columns: Mapping[str, Any], known: Sequence[str]) -> str | None:
    """The first of the known names that is a column, whatever its case."""
    lower = {name.lower(): name for name in columns}
    return next((lower[name] for name in known if name in lower), None)


def text(name: str, column: str, row: int, cell: Any) -> str:
    """A cell as text; ValueError when it is empty."""
    word = "" if cell is None or cell != cell else str(cell).strip()
    if not word:
        raise ValueError(f"{name}: column '{column}' is empty in row {row}")
    return word


def split_name(name: str, row: int, cell: Any) -> str:
    """train, val or test, for any of their usual names."""
    split = folder.ROLES.get(str(cell).strip().lower())
    if split is None:
        raise ValueError(f"{name}: split '{cell}' in row {row} is none of {', '.join(folder.ROLES)}")
    return split


def refuse_two_labels(name: str, cells: Sequence[str], answers: Sequence[str]) -> None:
    """Refuse a picture that is listed under two classes."""
    first: dict[str, int] = {}
    for row, (cell, answer) in enumerate(zip(cells, answers, strict=True)):
        before = first.setdefault(cell, row)
        if answers[before] != answer:
            raise ValueError(
                f"{name}: {cell} is {answers[before]} in row {before + 1} and {answer} in row {row + 1}, "
                f"expected one class a picture"
            )


def with_test(splits: Sequence[str]) -> list[str]:
    """Without a test split, the validation split is the test split."""
    return list(splits) if "test" in splits else ["test" if split == "val" else split for split in splits]


class Picked(Sequence):
    """Some items of a sequence."""

    def __init__(self, items: Sequence[Any], rows: Sequence[int]):
        self.items, self.rows = items, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row):
        return self.items[self.rows[row]]


class Chain(Sequence):
    """Several sequences as one."""

    def __init__(self, parts: Sequence[Sequence[Any]]):
        self.parts, self.starts = parts, [sum(len(part) for part in parts[:k]) for k in range(len(parts) + 1)]

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, row):
        part = next(k for k, end in enumerate(self.starts[1:]) if row < end)
        return self.parts[part][row - self.starts[part]]


def joined(sources: Mapping[str, Any]) -> Index:
    """A dict of sources by split as one index; their classes are joined by name."""
    meant = [folder.ROLES.get(str(key).lower(), "") for key in sources]
    if not sources or "" in meant or len(set(meant)) < len(meant):
        raise ValueError("expected a dict of pictures by split, such as {'train': ..., 'test': ...}, got the keys "
                         + ", ".join(map(str, sources)))
    parts = [unsplit(source) for source in sources.values()]
    for key, part in zip(sources, parts, strict=True):
        if part.splits is not None:
            raise ValueError(
                f"the part '{key}' is split itself ({part.name} has {', '.join(sorted(set(part.splits)))})"
            )
    classes = joined_classes(parts)
    number = {kind: k for k, kind in enumerate(classes)}
    labels = [
        number.get(part.classes[label], 0) if part.classes else 0 for part in parts for label in part.labels
    ]
    splits = [split for split, part in zip(meant, parts, strict=True) for _ in part.labels]
    names = [f"{key}: {name}" if not part.bytes else name for key, part in zip(sources, parts, strict=True)
             for name in part.names]
    sizes = [size for part in parts for size in part.bytes] if all(part.bytes for part in parts) else []
    return Index(
        " and ".join(dict.fromkeys(part.name for part in parts)),
        Chain([part.rows for part in parts]),
        names,
        labels,
        classes,
        with_test(splits) if len(sources) > 1 else None,
        sizes,
        {name: why for part in parts for name, why in part.bad.items()},
        [name for part in parts for name in part.others],
        [],
        list(dict.fromkeys(note for part in parts for note in part.notes)),
        all(part.parallel for part in parts),
        stamp=None
        if any(part.stamp is None for part in parts)
        else (tuple(sources), tuple(part.stamp for part in parts)),
    )


def joined_classes(parts: Sequence[Index]) -> list[str]:
    """The classes of all parts: the order of the first when it has all of them, else sorted; one class a
    part is no class."""
    if all(len(part.classes) <= 1 for part in parts):
        return parts[0].classes if len({tuple(part.classes) for part in parts}) == 1 else []
    known = {kind for part in parts for kind in part.classes}
    return parts[0].classes if known == set(parts[0].classes) else image_objects.ordered(known)


def check_splits(index: Index, split: str) -> None:
    """Refuse a split without pictures, and a class that one split lacks."""
    splits = index.splits or []
    there = sorted(set(splits))
    if split not in there and split not in ("train", "test"):
        raise ValueError(f"{index.name} has no split {split}; it has {' and '.join(there)}")
    for needed in ("train", "test"):
        if needed not in there:
            raise ValueError(
                f"{index.name}: no picture falls into the {needed} split "
                f"({counted(len(splits), 'picture')} in all); "
                "make folders train and test, or add pictures"
            )
    held = {
        part: {index.labels[row] for row, name in enumerate(splits) if name == part}
        for part in ("train", "test")
    }
    for part, other in (("train", "test"), ("test", "train")):
        lacking = [index.classes[label] for label in sorted(held[other] - held[part]) if index.classes]
        if lacking and (part == "train" or index.strict):
            raise ValueError(
                f"{index.name}: {'class' if len(lacking) == 1 else 'classes'} {some(lacking, 10)} only in "
                f"{other}, not in {part}"
            )
        if lacking:
            index.notes.append(f"no test pictures of {some(lacking)}")
