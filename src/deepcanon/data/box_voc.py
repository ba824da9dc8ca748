"""Pascal VOC's XML (Everingham et al. 2010): one file a picture, corners counted from 1, both included."""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path, PurePath

from .box_index import IGNORE, Annotated, Annotations, Box, are_shares, by_stem, name_of, picture_of, split_of
from .folder import ROLES
from .image_notices import some

FOLDERS = {"annotations": ("JPEGImages", "images", "Images"), "labels": ("images",)}
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_voc(root: Path, names: Sequence[str]) -> Annotations:
    """Every .xml file below a folder."""
    files = sorted(name for name in names if name.lower().endswith(".xml"))
    pictures, splits = by_stem(names), listed_splits(root, names)
    items, missing, classes = [], [], {}
    for file in files:
        tree = parsed(root / file)
        if tree.tag != "annotation":
            raise ValueError(
                f"{root / file} is not Pascal VOC's: it begins <{tree.tag}>, expected <annotation>"
            )
        picture = beside(file, tree.findtext("filename") or "", pictures)
        if picture is None:
            missing.append((tree.findtext("filename") or PurePath(file).stem).strip())
            continue
        boxes = [box_of(root / file, entry, classes) for entry in tree.iter("object")]
        if are_shares([[v + 1 for v in box.corners[:2]] + [*box.corners[2:]] for box in boxes]):
            what = "all corners lie in 0..1, expected pixels: are these shares of the sides?"
            raise ValueError(f"{root / file}: {what}")
        split = splits.get(PurePath(picture).stem, split_of(picture))
        items.append(Annotated(picture, str(root / picture), boxes, size_of(root / file, tree), split))
    order = sorted(classes)
    renumbered = {classes[name]: k for k, name in enumerate(order)}
    for i, item in enumerate(items):
        items[i] = item._replace(boxes=[box._replace(label=renumbered[box.label]) for box in item.boxes])
    notes = ["corners count from 1, as Pascal VOC's do"]
    if difficult := sum(box.flag == IGNORE for item in items for box in item.boxes):
        notes.append(f"{difficult:,} boxes are marked difficult: ignored")
    if splits and (out := [item.name for item in items if item.split is None]):
        items = [item for item in items if item.split is not None]
        notes.append(f"{len(out):,} pictures in no list of ImageSets/Main, left out: {some(out)}")
    return Annotations(
        name_of(root), "Pascal VOC XML", items, order, list(range(1, len(order) + 1)), missing, notes
    )


def parsed(path: Path) -> ElementTree.Element:
    """The tree of a file; ValueError where it is empty, no XML, or defines entities."""
    raw = path.read_bytes()
    if not raw.strip():
        raise ValueError(f"{path} is empty")
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise ValueError(f"{path} has a document type, which annotations have not")
    try:
        return ElementTree.fromstring(raw)
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is not XML: {error}") from None


def box_of(path: Path, entry: ElementTree.Element, classes: dict[str, int]) -> Box:
    """One object; a class that is new gets the next number."""
    name = (entry.findtext("name") or "").strip()
    if not name:
        raise ValueError(f"{path} has an object without a name")
    texts = [entry.findtext(f"bndbox/{corner}") for corner in CORNERS]
    try:
        x0, y0, x1, y1 = (float(text or "nan") for text in texts)
    except ValueError:
        raise ValueError(
            f"{path}: the box of {name} is {texts}, expected numbers for {', '.join(CORNERS)}"
        ) from None
    if not all(map(math.isfinite, (x0, y0, x1, y1))) or x1 < x0 or y1 < y0:
        raise ValueError(
            f"{path}: the box of {name} is {texts}, expected {', '.join(CORNERS)} with xmin <= xmax and "
            "ymin <= ymax"
        )
    difficult = (entry.findtext("difficult") or "0").strip() == "1"
    return Box((x0 - 1, y0 - 1, x1, y1), classes.setdefault(name, len(classes)), IGNORE if difficult else 0)


def size_of(path: Path, tree: ElementTree.Element) -> tuple[int, int]:
    """Width and height as the file says them; (0, 0) where it says nothing."""
    texts = [tree.findtext(f"size/{side}") or "0" for side in ("width", "height")]
    try:
        return int(float(texts[0])), int(float(texts[1]))
    except ValueError:
        raise ValueError(f"{path}: size is {texts}, expected whole numbers") from None


def beside(file: str, named: str, pictures: dict[str, str]) -> str | None:
    """The picture of an annotation: beside it, or in the folder that belongs to the folder of annotations."""
    path = PurePath(file)
    stems = list(dict.fromkeys([PurePath(named.strip().replace("\\", "/")).stem or path.stem, path.stem]))
    places = [path.parent]
    for i, part in enumerate(path.parts[:-1]):
        places += [
            PurePath(*path.parts[:i], other, *path.parts[i + 1 : -1])
            for other in FOLDERS.get(part.lower(), ())
        ]
        places += [PurePath(*path.parts[:i])] if part.lower() in FOLDERS else []
    return next(
        (found for place in places for stem in stems if (found := picture_of(place / stem, pictures))), None
    )


def listed_splits(root: Path, names: Sequence[str]) -> dict[str, str]:
    """Pictures' names -> split, by ImageSets/Main/train.txt and its like; a picture in several lists is in
    the last of val, train, test.
    """
    lists = {
        PurePath(name).stem.lower(): name
        for name in names
        if "ImageSets/Main/" in f"/{name}" and name.endswith(".txt")
    }
    splits: dict[str, str] = {}
    for stem in ("val", "train", "test"):
        if stem in lists:
            for line in (root / lists[stem]).read_text(encoding="utf-8").splitlines():
                if line.split():
                    splits[PurePath(line.split()[0]).stem] = ROLES[stem]
    return splits
