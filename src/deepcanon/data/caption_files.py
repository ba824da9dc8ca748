"""Captions in files: a table of pictures and sentences beside the pictures, or COCO's JSON.

    trip/captions.csv       file,caption            any of the names in FILE and TEXT; also tab-separated, or `file|caption`
    trip/captions.json      {"a.jpg": ["...", "..."]}, [{"file": "a.jpg", "caption": "..."}], or COCO's images and annotations

A picture may have several captions. Pictures lie beside the table or in a folder below it.
"""

import csv
import json
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import folder
from .image_decode import decoded, looked_at
from .image_notices import say, some
from .notices import counted

FILE = ("file", "image", "filename", "file_name", "path", "image_name", "img")
TEXT = ("caption", "text", "sentence", "description", "comment", "captions", "sentences")
SPLIT = ("split", "set", "subset")
TABLES = (".csv", ".tsv", ".txt", ".json")
LARGEST, SIZE = 128, 64         # pixels a side that `size="auto"` keeps, and that it resizes to otherwise


class Described(NamedTuple):
    """Images uint8 (N, C, H, W) with the captions of each, their names and, where they have them, splits."""

    x: Tensor
    texts: list[list[str]]
    names: list[str]
    splits: list[str] | None


def folder_captions(root: Path, size: int | str | None, channels: int | None) -> Described:
    """The pictures of a folder that a table describes.

    Raises:
        FileNotFoundError: a folder without such a table.
        ValueError: a table of another form, an empty caption, captions of pictures that are not there or cannot be read.
    """
    table = root if root.is_file() else table_in(root)
    rows = rows_of(table)
    texts: dict[str, list[str]] = {}
    splits: dict[str, str] = {}
    for number, (name, text, split) in enumerate(rows, 1):
        if not name or not any(c.isalnum() for c in text):
            raise ValueError(f"{table}: caption {number} ({name or 'without a file'}) is empty")
        texts.setdefault(name, []).append(text)
        splits.setdefault(name, split)
    if not texts:
        raise ValueError(f"{table} has no captions")
    found = folder.scan(table.parent)
    places = {PurePath(path).name: path for path in found.pictures} | {path: path for path in found.pictures}
    missing = [name for name in texts if name not in places]
    if missing:
        raise ValueError(f"{table}: {counted(len(missing), 'picture')} with captions not there: {some(missing)}")
    used = {places[name] for name in texts}
    if alone := [path for path in found.pictures if path not in used]:
        say(f"{table.parent}: {counted(len(alone), 'picture')} without a caption, left out: {some(alone)}")
    names = list(texts)
    x = pictures([table.parent / places[name] for name in names], table.parent, size, channels)
    given = [folder.ROLES.get(splits[name].lower(), "") for name in names]
    if any(given) and not all(given):
        raise ValueError(f"{table}: some rows have no split: {some([n for n, s in zip(names, given, strict=True) if not s])}")
    merged = ["test" if s == "val" and "test" not in given else "train" if s == "val" else s for s in given]
    return Described(x, list(texts.values()), names, merged if any(given) else None)


def table_in(root: Path) -> Path:
    """The table of a folder: `captions` first, else the only file that may be one."""
    candidates = [path for path in sorted(root.glob("*")) if path.suffix.lower() in TABLES and path.is_file()]
    best = [path for path in candidates if "caption" in path.stem.lower()] or candidates
    if len(best) != 1:
        several = f"several files that may hold captions: {some([path.name for path in best])}"
        raise FileNotFoundError(f"{root} has {several if best else 'no file of captions'} "
                                f"(expected {root / 'captions.csv'} with the columns file and caption)")
    return best[0]


def has_captions(root: Path) -> bool:
    """Whether a folder holds a table whose name says that it has captions."""
    return any("caption" in path.stem.lower() and path.suffix.lower() in TABLES for path in root.glob("*"))


def rows_of(table: Path) -> list[tuple[str, str, str]]:
    """(file, caption, split or "") of every row. Raises ValueError for a table of another form."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{table} is not a text in UTF-8: {error}") from None
    if table.suffix.lower() == ".json":
        try:
            return rows_of_json(json.loads(text), table)
        except json.JSONDecodeError as error:
            raise ValueError(f"{table} is no JSON: {error}") from None
    lines = text.splitlines()
    separator = max("\t,|;", key=lines[0].count) if lines else ","
    header, *rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator) if row] or [[]]
    file, caption, split = (place(header, known) for known in (FILE, TEXT, SPLIT))
    if file is None or caption is None:
        raise ValueError(f"{table}: expected the columns file and caption, got {', '.join(header) or 'nothing'}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise ValueError(f"{table}: row {number} has {len(row)} cells, expected {len(header)}; put captions with commas in quotes")
    return [(row[file], row[caption], row[split] if split is not None else "") for row in rows]


def place(header: list[str], known: tuple[str, ...]) -> int | None:
    """The column of the first of the known names, whatever its case."""
    lower = [name.lower() for name in header]
    return next((lower.index(name) for name in known if name in lower), None)


def rows_of_json(found: Any, table: Path) -> list[tuple[str, str, str]]:
    """The rows of COCO's form, of a dict of lists, or of a list of objects."""
    if isinstance(found, Mapping) and {"images", "annotations"} <= found.keys():
        files = {image.get("id"): image.get("file_name", "") for image in found["images"]}
        lost = [a.get("image_id") for a in found["annotations"] if a.get("image_id") not in files]
        if lost:
            raise ValueError(f"{table}: captions of images that are not listed: {some([str(i) for i in lost])}")
        return [(files[a["image_id"]], str(a.get("caption", "")), "") for a in found["annotations"]]
    if isinstance(found, Mapping):
        return [(str(name), str(text), "") for name, texts in found.items() for text in ([texts] if isinstance(texts, str) else texts)]
    rows = []
    for number, item in enumerate(found, 1):
        keys = {key.lower(): value for key, value in item.items()} if isinstance(item, Mapping) else {}
        file, text = (next((keys[name] for name in known if name in keys), None) for known in (FILE, TEXT))
        if file is None or text is None:
            raise ValueError(f"{table}: entry {number} has no file and caption")
        rows += [(str(file), str(one), str(keys.get("split", ""))) for one in ([text] if isinstance(text, str) else text)]
    return rows


def pictures(paths: list[Path], root: Path, size: int | str | None, channels: int | None) -> Tensor:
    """Pictures at one size, uint8 (N, C, H, W). Raises ValueError with the names of those that cannot be read."""
    looks, bad = [], []
    for path in paths:
        try:
            looks.append(looked_at(path))
        except ValueError as error:
            bad.append(f"{path.relative_to(root)}: {error}")
    if bad:
        raise ValueError(f"{root}: cannot be read: {counted(len(bad), 'picture')} ({'; '.join(bad[:10])})")
    sizes = {look.size for look in looks}
    kept = len(sizes) == 1 and max(next(iter(sizes))) <= LARGEST
    if size is None and len(sizes) > 1:
        raise ValueError(f"{root}: pictures of {len(sizes)} sizes; pass size= to bring all to one size")
    side = None if size is None or (size == "auto" and kept) else SIZE if size == "auto" else int(size)
    if side and sizes != {(side, side)}:
        say(f"{root}: {counted(len(paths), 'picture')}, the middle square of each resized to {side} x {side} (size=)")
    channels = channels or (1 if all(look.grey for look in looks) else 3)
    return torch.stack([decoded(path, side, "crop", channels) for path in paths])
