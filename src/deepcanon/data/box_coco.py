"""COCO's JSON (Lin et al.

2014): images, annotations with bbox = [x, y, width, height], categories with any ids.
"""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .box_index import CROWD, Annotated, Annotations, Box, are_shares, split_of
from .image_notices import some

PARTS = ("images", "annotations", "categories")
BEGINNING = 2_000  # characters of a file that are looked at to tell its form


def is_coco(path: Path) -> bool:
    """Whether a JSON file seems to be COCO's; one that cannot be parsed is told by its beginning."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return '"images"' in path.read_text(encoding="utf-8", errors="replace")[:BEGINNING]
    return isinstance(content, dict) and "annotations" in content and "images" in content


def read_coco(paths: Sequence[Path], name: str) -> Annotations:
    """One file or several, which are splits by their names or folders."""
    paths = [path for path in paths if "instances" in path.name] or list(paths)
    splits = [split_of(f"{path.parent.name}/{path.name}") if len(paths) > 1 else None for path in paths]
    if len(paths) > 1 and (None in splits or len(set(splits)) < len(splits)):
        raise ValueError(
            f"{name}: cannot tell the splits of {some([path.name for path in paths])}; "
            "name them train, val, test, or give one file"
        )
    parts = [of_file(path, split) for path, split in zip(paths, splits, strict=True)]
    first = parts[0]
    for path, part in zip(paths[1:], parts[1:], strict=True):
        if (part.category_ids, part.classes) != (first.category_ids, first.classes):
            raise ValueError(f"{path} has other categories than {paths[0]}")
    return Annotations(
        name,
        "COCO JSON",
        [item for part in parts for item in part.items],
        first.classes,
        first.category_ids,
        [name for part in parts for name in part.missing],
        [note for part in parts for note in part.notes],
    )


def of_file(path: Path, split: str | None) -> Annotations:
    """The pictures of one file."""
    content = parsed(path)
    categories = {
        field(path, "category", c, "id"): str(c.get("name", c.get("id"))) for c in content["categories"]
    }
    number = {category: k for k, category in enumerate(sorted(categories))}
    images = {field(path, "image", image, "id"): image for image in content["images"]}
    if len(images) < len(content["images"]):
        raise ValueError(f"{path}: {len(content['images']) - len(images)} images have the id of another")
    boxes: dict[Any, list[Box]] = defaultdict(list)
    for row, annotation in enumerate(content["annotations"]):
        image = field(path, "annotation", annotation, "image_id")
        if image not in images:
            number_of = annotation.get("id", row)
            raise ValueError(
                f"{path}: annotation {number_of} is of image {image}, which is not among its images"
            )
        boxes[image].append(box_of(path, annotation, row, number))
    if are_shares([box.corners for found in boxes.values() for box in found]):
        first = content["annotations"][0]
        named = f"annotation {first.get('id', 0)} has bbox {first['bbox']}"
        raise ValueError(
            f"{path}: all boxes lie in 0..1, expected pixels ({named}): are these shares of the sides?"
        )
    ids = sorted(categories)
    shown = some([str(i) for i in ids], 6)
    gaps = [f"{path.name}: category ids {shown} are read as classes 1 to {len(ids)}, and written back"]
    found = Annotations(path.name, "COCO JSON", [], [categories[i] for i in ids], ids)
    found.notes = gaps if ids != list(range(1, len(ids) + 1)) else []
    root = picture_folder(path, [str(image.get("file_name")) for image in content["images"]])
    for id, image in images.items():
        name = str(field(path, "image", image, "file_name"))
        size = int(image.get("width") or 0), int(image.get("height") or 0)
        if (root / name).is_file():
            found.items.append(Annotated(name, str(root / name), boxes[id], size, split))
        else:
            found.missing.append(name)
    return found


def parsed(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The content of a file, with its three lists."""
    raw = path.read_bytes()
    if not raw.strip():
        raise ValueError(f"{path} is empty")
    try:
        content = json.loads(raw)
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in PARTS):
        raise ValueError(f"{path} is not in COCO's form: expected the lists {', '.join(PARTS)}")
    for part in PARTS:
        if not content[part]:
            raise ValueError(f"{path} has no {part}")
        if not all(isinstance(entry, dict) for entry in content[part]):
            raise ValueError(f"{path}: expected objects in {part}")
    return content


def field(path: Path, what: str, entry: dict[str, Any], name: str) -> Any:
    """A field that must be there."""
    if name not in entry:
        raise ValueError(f"{path}: {what} {entry.get('id', '?')} has no {name}")
    return entry[name]


def box_of(path: Path, annotation: dict[str, Any], row: int, number: dict[int, int]) -> Box:
    """One annotation."""
    named = f"annotation {annotation.get('id', row)}"
    if (category := field(path, "annotation", annotation, "category_id")) not in number:
        raise ValueError(f"{path}: {named} has category {category}, which is not among its categories")
    values = field(path, "annotation", annotation, "bbox")
    if not (
        isinstance(values, list)
        and len(values) == 4
        and all(isinstance(v, int | float) and math.isfinite(v) for v in values)
    ):
        raise ValueError(f"{path}: {named} has bbox {values}, expected [x, y, width, height]")
    x, y, width, height = map(float, values)
    if width < 0 or height < 0:
        raise ValueError(f"{path}: {named} has bbox {values}, of a width or height below 0")
    area = annotation.get("area")
    flag = CROWD if annotation.get("iscrowd") else 0
    return Box(
        (x, y, x + width, y + height),
        number[category],
        flag,
        float(area) if isinstance(area, int | float) else None,
    )


def picture_folder(path: Path, names: Sequence[str]) -> Path:
    """The folder in which the pictures of a file are: beside it, in `images`, or beside the folder of the
    file.
    """
    near = [path.parent, path.parent / "images", path.parent.parent, path.parent.parent / "images"]
    split = split_of(path.name)
    near += [
        inside
        for top in (path.parent, path.parent.parent, path.parent.parent / "images")
        if top.is_dir()
        for inside in sorted(top.iterdir())
        if split and inside.is_dir() and split_of(f"{inside.name}/x") == split
    ]
    return next(
        (place for place in near if any((place / name).is_file() for name in names[:20])), path.parent
    )


def as_coco(
    names: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    found: Sequence[Sequence[tuple]],
    classes: Sequence[str],
    category_ids: Sequence[int],
) -> str:
    """Detections as COCO JSON with scores: of each picture a list of (corners, score, label)."""
    images = [
        {"id": i, "file_name": name, "width": w, "height": h}
        for i, (name, (w, h)) in enumerate(zip(names, sizes, strict=True), 1)
    ]
    entries = []
    for i, boxes in enumerate(found, 1):
        for (x0, y0, x1, y1), score, label in boxes:
            bbox = [round(v, 2) for v in (x0, y0, x1 - x0, y1 - y0)]
            entries.append(
                {
                    "id": len(entries) + 1,
                    "image_id": i,
                    "category_id": category_ids[label],
                    "bbox": bbox,
                    "area": round((x1 - x0) * (y1 - y0), 2),
                    "iscrowd": 0,
                    "score": round(score, 5),
                }
            )
    categories = [{"id": id, "name": name} for id, name in zip(category_ids, classes, strict=True)]
    return json.dumps({"images": images, "annotations": entries, "categories": categories})
