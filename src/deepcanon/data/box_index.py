"""Pictures with boxes as files say them, before any picture is decoded.

    instances.json beside its pictures, or annotations/instances_train.json and train/        COCO
    Annotations/1.xml, JPEGImages/1.jpg, ImageSets/Main/train.txt; or 1.xml beside 1.jpg      Pascal VOC
    images/train/1.jpg, labels/train/1.txt, data.yaml or classes.txt; or 1.txt beside 1.jpg   YOLO

Folders and files named train, val, test (or training, valid, ...) are splits; without them one picture in
five is held out, by the sum of its name. Boxes become (x0, y0, x1, y1) in pixels.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import NamedTuple

from . import folder
from .image_notices import some
from .notices import counted

LOOKED_AT = 5_000  # files of a folder that are looked at to tell what it holds
CROWD, IGNORE = 1, 2  # flags of a box: a crowd; too difficult to count


class Box(NamedTuple):
    """One object: its corners, its class, and whether it is a crowd or to be ignored; area, where the file
    has it.
    """

    corners: tuple[float, float, float, float]
    label: int
    flag: int = 0
    area: float | None = None


class Annotated(NamedTuple):
    """One picture with its boxes.

    `size` is what the annotations say of it, width and height; None where boxes are shares of the sides.
    """

    name: str
    path: str
    boxes: list[Box]
    size: tuple[int, int] | None = None
    split: str | None = None


@dataclass
class Annotations:
    """The pictures of a source.

    Attributes:
        name: of the source; `form` of the files.
        items: the pictures.
        classes: names; `category_ids`: their numbers in the files.
        missing: pictures that are annotated and not there.
        notes: what is worth saying.
    """

    name: str
    form: str
    items: list[Annotated]
    classes: list[str]
    category_ids: list[int]
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def annotations(source: str | os.PathLike) -> Annotations:
    """The annotations of a file or folder.

    Raises:
        ValueError: no annotations, or some that cannot be read or meant; the file (and line) is named.
        FileNotFoundError: the source is not there.
    """
    from . import box_coco, box_voc, box_yolo

    path = Path(source)
    if not os.path.lexists(path):
        raise FileNotFoundError(f"there is no {'file' if path.suffix else 'folder'} {path}")
    if not path.is_dir():
        if path.suffix.lower() != ".json":
            raise ValueError(f"{path} is no folder and no COCO .json file of pictures with boxes")
        return whole(box_coco.read_coco([path], path.stem))
    found = folder.scan(path)
    names = [*found.others, *found.pictures]
    jsons = [path / name for name in found.others if name.lower().endswith(".json")]
    if coco := [file for file in jsons if box_coco.is_coco(file)]:
        return whole(box_coco.read_coco(coco, name_of(path)))
    if any(name.lower().endswith(".xml") for name in found.others):
        return whole(box_voc.read_voc(path, names))
    if any(box_yolo.is_label(name) for name in found.others):
        return whole(box_yolo.read_yolo(path, names))
    empty = [file for file in jsons if not file.stat().st_size]
    if empty:
        raise ValueError(f"{empty[0]} is empty")
    raise ValueError(
        f"{path} has no annotations of boxes: expected a COCO .json file, Pascal VOC .xml files or YOLO "
        f".txt files; it holds {counted(len(found.pictures), 'picture')} and "
        f"{some(found.others) or 'nothing else'}"
    )


def has_boxes(path: Path) -> bool:
    """Whether a file or folder seems to hold annotations of boxes: by the names of the files, and by the
    first of them.
    """
    from . import box_coco, box_yolo

    if not path.is_dir():
        return path.suffix.lower() == ".json" and box_coco.is_coco(path)
    files = [
        name for _, name in zip(range(LOOKED_AT), (p for p in path.rglob("*") if p.is_file()), strict=False)
    ]
    stems = {
        box_yolo.stem_of(p.relative_to(path).as_posix()) for p in files if p.suffix.lower() in folder.SUFFIXES
    }
    if not stems:
        return False
    jsons, trees, texts = (
        [p for p in files if p.suffix.lower() == ending] for ending in (".json", ".xml", ".txt")
    )
    if any(box_coco.is_coco(p) for p in jsons[:5]) or any(
        b"<annotation" in p.read_bytes()[:500] for p in trees[:5]
    ):
        return True
    labels = [
        p
        for p in texts
        if box_yolo.is_label(p.name) and box_yolo.stem_of(p.relative_to(path).as_posix()) in stems
    ]
    return any(
        re.match(r"\s*\d+(\s+[-+.\deE]+){4}\s*$", p.read_text(errors="replace").partition("\n")[0])
        for p in labels[:20]
    )


def are_shares(corners: Sequence[Sequence[float]]) -> bool:
    """Whether all boxes of a file lie in 0..1 with a number between: shares of the sides, where pixels are
    expected.
    """
    values = [v for box in corners for v in box]
    return bool(values) and max(values) <= 1 and any(v != int(v) for v in values)


def name_of(path: Path) -> str:
    """The name of a folder, also of `.`."""
    return path.name or path.resolve().name


def whole(found: Annotations) -> Annotations:
    """Annotations with a split for every picture; ValueError where there is no picture or no box."""
    if not found.items and found.missing:
        raise ValueError(
            f"{found.name}: none of the {counted(len(found.missing), 'annotated picture')} is there: "
            f"{some(found.missing)}"
        )
    if not any(item.boxes for item in found.items):
        raise ValueError(f"{found.name}: no boxes in {counted(len(found.items), 'picture')} ({found.form})")
    splits = {item.split for item in found.items}
    if splits >= {"train"} and len(splits) > 1:
        if "test" not in splits:
            found.items = [
                item._replace(split="test" if item.split == "val" else item.split) for item in found.items
            ]
        return found
    held = folder.held_out([item.name for item in found.items], [0] * len(found.items))
    found.items = [
        item._replace(split="test" if test else "train") for item, test in zip(found.items, held, strict=True)
    ]
    return found


def split_of(name: str) -> str | None:
    """The split that the folders of a path or its name mean: `train/1.jpg`, `instances_val2017.json`."""
    parts = PurePath(name).parts
    meant = [split for part in (*parts[:-1], PurePath(name).stem) if (split := folder.role(part)[0])]
    return meant[0] if meant else None


def picture_of(stem: PurePath, pictures: dict[str, str]) -> str | None:
    """The picture of that path without its ending."""
    return pictures.get(stem.as_posix())


def by_stem(names: Sequence[str]) -> dict[str, str]:
    """Pictures by their paths without endings."""
    return {
        PurePath(name).with_suffix("").as_posix(): name
        for name in names
        if PurePath(name).suffix.lower() in folder.SUFFIXES
    }
