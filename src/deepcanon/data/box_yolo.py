"""YOLO's text (Redmon et al.

2016): a line an object, its class, then centre and size as shares of the sides.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from .box_index import Annotated, Annotations, Box, by_stem, name_of, split_of
from .image_notices import some

SLACK = 1e-6  # by which a number may leave 0..1
NAMES = {"classes.txt", "obj.names", "predefined_classes.txt"}
NOT_LABELS = {
    *NAMES,
    "readme.txt",
    "train.txt",
    "val.txt",
    "valid.txt",
    "test.txt",
    "requirements.txt",
    "license.txt",
    "readme.roboflow.txt",
    "readme.dataset.txt",
}


def is_label(name: str) -> bool:
    """Whether a file may hold the boxes of a picture."""
    return name.lower().endswith(".txt") and PurePath(name).name.lower() not in NOT_LABELS


def read_yolo(root: Path, names: Sequence[str]) -> Annotations:
    """Every picture below a folder, with the boxes of its .txt file."""
    pictures = by_stem(names)
    labels = {stem_of(name): name for name in names if is_label(name)}
    classes = class_names(root, names)
    items, unlabelled = [], []
    for stem, picture in sorted(pictures.items()):
        file = labels.pop(picture_stem(stem), None)
        boxes = [] if file is None else boxes_of(root / file, len(classes))
        unlabelled += [] if file else [picture]
        items.append(Annotated(picture, str(root / picture), boxes, None, split_of(picture)))
    count = 1 + max((box.label for item in items for box in item.boxes), default=-1)
    notes = (
        [f"{len(unlabelled):,} pictures without a .txt file are read as without objects: {some(unlabelled)}"]
        if unlabelled
        else []
    )
    if not classes:
        classes = [str(k) for k in range(count)]
        notes.append("no names of classes (data.yaml, classes.txt): they are called by their numbers")
    return Annotations(
        name_of(root), "YOLO text", items, classes, list(range(len(classes))), sorted(labels.values()), notes
    )


def stem_of(name: str) -> str:
    """What a file of labels and its picture have in common: their path without `labels` or `images`, and
    without an ending.
    """
    return picture_stem(PurePath(name).with_suffix("").as_posix())


def picture_stem(stem: str) -> str:
    """The same of a path that has no ending."""
    return "/".join(part for part in stem.split("/") if part.lower() not in ("labels", "images"))


def boxes_of(path: Path, count: int) -> list[Box]:
    """The boxes of a file, in shares of the sides; `count` is the number of classes, 0 where it is not
    known.
    """
    boxes = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        where = f"{path}, line {number}"
        try:
            values = [float(word) for word in words]
        except ValueError:
            raise ValueError(
                f"{where}: expected five numbers (class, centre x, centre y, width, height), got "
                f"'{line.strip()[:60]}'"
            ) from None
        if len(values) != 5:
            raise ValueError(
                f"{where}: expected five numbers (class, centre x, centre y, width, height), got "
                f"{len(values)}"
            )
        label, x, y, w, h = values
        if label != int(label) or label < 0 or (count and label >= count):
            raise ValueError(
                f"{where}: class {words[0]} is none of 0..{count - 1}"
                if count
                else f"{where}: expected a class number, got {words[0]}"
            )
        if wrong := [
            word
            for word, value in zip(words[1:], values[1:], strict=True)
            if not math.isfinite(value) or not -SLACK <= value <= 1 + SLACK
        ]:
            raise ValueError(
                f"{where}: {wrong[0]} is no share of a side, expected numbers from 0 to 1: are these pixels?"
            )
        boxes.append(Box((x - w / 2, y - h / 2, x + w / 2, y + h / 2), int(label)))
    return boxes


def class_names(root: Path, names: Sequence[str]) -> list[str]:
    """The names of the classes, from data.yaml or a list of names; none where neither is there.

    Raises:
        ValueError: a data.yaml whose names cannot be read, or that has another number of them than it says.
    """
    for name in sorted(names, key=lambda name: name.count("/")):
        path = PurePath(name)
        if path.name.lower() in NAMES:
            return [
                line.strip()
                for line in (root / name).read_text(encoding="utf-8").splitlines()
                if line.strip()
            ]
        if path.suffix.lower() in (".yaml", ".yml"):
            return yaml_names(root / name)
    return []


def yaml_names(path: Path) -> list[str]:
    """`names:` of a YAML file: a list in brackets, a list of lines, or numbers with names."""
    text = re.sub(r"(?m)(^|\s)#.*$", "", path.read_text(encoding="utf-8"))
    match = re.search(
        r"(?m)^names\s*:[ \t]*(\[(?P<inline>[^\]]*)\]|\n(?P<block>([ \t]*(-|\d+\s*:).*\n?|[ \t]*\n)+))", text
    )
    if match is None:
        raise ValueError(f"{path} has no list of names that can be read: expected names: [first, second]")
    if match["inline"] is not None:
        entries = [entry for entry in match["inline"].split(",") if entry.strip()]
    else:
        entries = [
            re.sub(r"^\s*(-|\d+\s*:)", "", line) for line in match["block"].splitlines() if line.strip()
        ]
    found = [entry.strip().strip("'\"") for entry in entries]
    said = re.search(r"(?m)^nc\s*:\s*(\d+)", text)
    if said and int(said[1]) != len(found):
        raise ValueError(f"{path} says nc: {said[1]} and names {len(found)} classes")
    return found
