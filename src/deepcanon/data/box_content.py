"""From annotations to tensors: boxes upright, inside the picture, at the size that is trained on.

frame       EXIF's orientation turns the picture; the declared width and height say whether the boxes were
            drawn on the turned one or on the raw one, whose boxes are turned as well
clipped     what leaves the picture; a box without area is dropped; both are counted and said
size        pictures of one size of at most `LARGEST` pixels a side stay; others become squares of `SIDE`
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .batches import Content
from .box_index import CROWD, IGNORE, Annotated, Annotations, Box, annotations
from .image_content import FITS, Options, Plan, gathered
from .image_decode import looked_at, opened, orientation
from .image_index import Index
from .image_notices import say, some
from .notices import counted

SIDE, LARGEST = 256, 512
EDGE = 1e-3  # pixels by which a box may leave its picture unsaid
SQUARE = (2, 3, 4)  # orientations that keep width and height

Corners = tuple[float, float, float, float]


class Seen(NamedTuple):
    """A picture with the boxes inside it, upright, in its own pixels."""

    item: Annotated
    size: tuple[int, int]  # width and height
    grey: bool
    boxes: list[Box]


class Changes(NamedTuple):
    """How many boxes and pictures were changed; counters of one reading."""

    clipped: list[str]  # the picture of each
    dropped: list[str]
    turned: list[str]
    unclear: list[str]


def content(source: Any, split: str | None, options: Options) -> Content:
    """The pictures of a split (None: all) with their boxes, y (N, M, 6): corners, label (-1: none), flag.

    Raises:
        ValueError: pictures or annotations that cannot be read (named).
        FileNotFoundError: the source is not there.
    """
    found = annotations(source)
    seen, changes = survey(found, options)
    tell(found, changes)
    plan = planned(found, seen, options)
    mine = [s for s in seen if split in (None, s.item.split)]
    if not mine:
        have = sorted({s.item.split or "" for s in seen})
        raise ValueError(f"{found.name} has no picture in the split {split}; it has {' and '.join(have)}")
    x, bad = gathered(index_of(found.name, mine), list(range(len(mine))), plan)
    if bad:
        if not options.skip_unreadable:
            raise ValueError(f"{found.name}: cannot be read: {named(mine, bad)}")
        kept = [i for i in range(len(mine)) if i not in bad]
        if not kept:
            raise ValueError(f"{found.name}: cannot be read: {named(mine, bad)}")
        say(f"{found.name}: left out, as they cannot be read: {named(mine, bad)}")
        mine, x = [mine[i] for i in kept], x[kept]
    y = packed([fitted(s, plan) for s in mine])
    metadata: dict[str, Any] = {"classes": found.classes, "category_ids": found.category_ids}
    if split is None:
        metadata |= {"paths": [s.item.name for s in mine], "sizes": [list(s.size) for s in mine]}
    return Content(x, y, 255, metadata)


def named(seen: Sequence[Seen], bad: dict[int, str]) -> str:
    """The first few pictures that cannot be read, and why."""
    return some([f"{seen[i].item.name}: {why}" for i, why in bad.items()])


def survey(found: Annotations, options: Options) -> tuple[list[Seen], Changes]:
    """The headers of all pictures, their boxes upright and inside.

    Raises:
        ValueError: pictures that are missing or unreadable, unless they may be left out; a size that is not
            the declared one.
    """
    changes, seen, bad = Changes([], [], [], []), [], {}
    for item in found.items:
        try:
            look = looked_at(item.path)
            with opened(item.path) as picture:
                turned = orientation(picture)
        except ValueError as error:
            bad[item.name] = str(error)
            continue
        seen.append(Seen(item, look.size, look.grey, upright(item, look.size, turned, changes)))
    lost = {name: "no such picture" for name in found.missing} | bad
    listed = some([f"{name}: {why}" for name, why in lost.items()])
    if lost and not options.skip_unreadable:
        raise ValueError(
            f"{found.name}: {counted(len(lost), 'picture')} of the annotations cannot be read: {listed}; "
            "mend them, "
            "or leave them out with skip_unreadable=True"
        )
    if lost:
        say(f"{found.name}: left out, as they cannot be read: {listed}")
    if not seen:
        raise ValueError(f"{found.name}: no picture can be read")
    return seen, changes


def upright(item: Annotated, size: tuple[int, int], turned: int, changes: Changes) -> list[Box]:
    """The boxes of a picture of that upright size, in its pixels.

    Raises:
        ValueError: the annotations declare another size than the picture has, upright or raw.
    """
    width, height = size
    raw = (height, width) if turned in (5, 6, 7, 8) else (width, height)
    boxes = item.boxes
    if item.size is None:
        boxes = [box._replace(corners=scaled(box.corners, width, height)) for box in boxes]
    elif item.size not in ((0, 0), size, raw):
        raise ValueError(
            f"{item.name}: the annotations say {item.size[0]} x {item.size[1]} pixels, the picture has "
            f"{width} x {height}"
        )
    elif item.size == raw != size:
        boxes = [box._replace(corners=turn(box.corners, raw, turned)) for box in boxes]
        changes.turned.append(item.name)
    elif item.size == (0, 0) and raw != size:
        changes.unclear.append(item.name)
    inside = []
    for box in boxes:
        corners = clipped(box.corners, width, height)
        if corners[2] <= corners[0] or corners[3] <= corners[1]:
            changes.dropped.append(item.name)
            continue
        if max(abs(a - b) for a, b in zip(corners, box.corners, strict=True)) > EDGE:
            changes.clipped.append(item.name)
        inside.append(box._replace(corners=corners))
    return inside


def scaled(corners: Corners, width: int, height: int) -> Corners:
    """Corners times the sides."""
    return corners[0] * width, corners[1] * height, corners[2] * width, corners[3] * height


def turn(corners: Corners, raw: tuple[int, int], orientation: int) -> Corners:
    """Corners on a raw picture, on the one that EXIF's orientation makes of it: 6 makes (0, 0, 1, 1) in 4 x 2
    to (1, 0, 2, 1).
    """
    (x0, y0, x1, y1), (w, h) = corners, raw
    if orientation in (2, 3, 7, 8):  # left and right exchanged
        x0, x1 = w - x1, w - x0
    if orientation in (3, 4, 6, 7):  # up and down
        y0, y1 = h - y1, h - y0
    return (y0, x0, y1, x1) if orientation in (5, 6, 7, 8) else (x0, y0, x1, y1)


def clipped(corners: Corners, width: int, height: int) -> Corners:
    """The part inside a picture."""
    x0, x1 = (min(max(v, 0.0), float(width)) for v in corners[0::2])
    y0, y1 = (min(max(v, 0.0), float(height)) for v in corners[1::2])
    return x0, y0, x1, y1


def tell(found: Annotations, changes: Changes) -> None:
    """Say what was done to boxes and what is worth knowing."""
    for note in found.notes:
        say(f"{found.name}: {note}")
    lines = {
        "left the picture: clipped": changes.clipped,
        "without area inside the picture: dropped": changes.dropped,
    }
    for line, names in lines.items():
        if names:
            boxes = f"{len(names):,} box{'' if len(names) == 1 else 'es'}"
            say(f"{found.name}: {boxes} {line} ({some(list(dict.fromkeys(names)))})")
    if changes.turned:
        say(
            f"{found.name}: {counted(len(changes.turned), 'picture')} turned upright, with boxes drawn on "
            f"the raw one ({some(changes.turned)})"
        )
    if changes.unclear:
        say(
            f"{found.name}: {counted(len(changes.unclear), 'picture')} turned upright and of no declared "
            "size: boxes are read as drawn on "
            f"the upright one ({some(changes.unclear)})"
        )


def planned(found: Annotations, seen: Sequence[Seen], options: Options) -> Plan:
    """What every picture is brought to."""
    sizes = {s.size for s in seen}
    one = next(iter(sizes)) if len(sizes) == 1 else None
    keep = one is not None and max(one) <= LARGEST and options.size in ("auto", None)
    if options.size is None and one is None:
        raise ValueError(
            f"{found.name}: pictures of {len(sizes):,} sizes; pass size= to bring all to one size"
        )
    channels = options.channels or (1 if all(s.grey for s in seen) else 3)
    size = None if keep or options.size is None else SIDE if isinstance(options.size, str) else options.size
    width, height = (size, size) if size else one or (SIDE, SIDE)
    if size and options.size == "auto":
        say(
            f"{found.name}: {counted(len(seen), 'picture')} of {counted(len(sizes), 'size')}, "
            f"{FITS[options.fit]} "
            f"resized to {size} x {size} (size=, fit=)"
        )
    return Plan(size, options.fit, channels, (channels, height, width), must_be_grey=False)


def index_of(name: str, seen: Sequence[Seen]) -> Index:
    """The pictures, as they are decoded."""
    return Index(name, [s.item.path for s in seen], [s.item.name for s in seen], [0] * len(seen), [])


def placement(size: tuple[int, int], plan: Plan) -> tuple[float, float, float, float]:
    """How a picture of that size lies in the one it is brought to: x' = a x + c, y' = b y + d."""
    if plan.size is None:
        return 1.0, 1.0, 0.0, 0.0
    (width, height), side = size, plan.size
    if plan.fit == "stretch":
        return side / width, side / height, 0.0, 0.0
    if plan.fit == "crop":
        least = min(size)
        scale = side / least
        return scale, scale, -((width - least) // 2) * scale, -((height - least) // 2) * scale
    new = (side, round(height / width * side)) if width >= height else (round(width / height * side), side)
    return (
        new[0] / width,
        new[1] / height,
        float(round((side - new[0]) / 2)),
        float(round((side - new[1]) / 2)),
    )


def fitted(s: Seen, plan: Plan) -> list[list[float]]:
    """The boxes of a picture in the picture that it is brought to: corners, label, flag."""
    a, b, c, d = placement(s.size, plan)
    rows = []
    for (x0, y0, x1, y1), label, flag, _ in s.boxes:
        corners = clipped((a * x0 + c, b * y0 + d, a * x1 + c, b * y1 + d), plan.shape[2], plan.shape[1])
        if corners[2] > corners[0] and corners[3] > corners[1]:
            rows.append([*corners, float(label), float(flag)])
    return rows


def packed(pictures: Sequence[Sequence[Any]]) -> Tensor:
    """Lists of boxes as one tensor (N, M, 6); what is empty has the label -1."""
    most = max(1, max(map(len, pictures), default=1))
    y = torch.zeros(len(pictures), most, 6)
    y[..., 4] = -1
    for row, boxes in zip(y, pictures, strict=True):
        if boxes:
            row[: len(boxes)] = torch.tensor(boxes)
    return y


__all__ = ["CROWD", "IGNORE", "content", "packed"]
