"""What would be read of a user's pictures with boxes, without training on them."""

import statistics
from collections import Counter
from typing import Any

from .box_content import Seen, annotations, planned, survey, tell
from .box_index import CROWD, IGNORE
from .image_content import Options
from .image_notices import collected
from .pictures import check_arguments


def describe_boxes(
    source: Any,
    *,
    size: int | str | None = "auto",
    fit: str = "pad",
    channels: int | None = None,
    skip_unreadable: bool = False,
) -> dict[str, Any]:
    """What `boxes` would read of a source, from annotations and headers alone, as JSON.

    Args:
        source, size, fit, channels, skip_unreadable: as for `boxes`.

    Returns:
        kind, name, form of the files, counts of each split, boxes of each class and split, category ids,
        sizes of boxes and pictures, what each picture is brought to, what is left out, problems, and what
        would be said.
    """
    check_arguments("train", size, fit, channels)
    options = Options(size, fit, channels, skip_unreadable)
    found = annotations(source)
    described: dict[str, Any] = {"kind": "boxes", "name": found.name, "form": found.form}
    problems = []
    with collected() as lines:
        try:
            seen, changes = survey(found, options)
            tell(found, changes)
            described |= contents(seen, found.classes) | {"category_ids": found.category_ids}
            described["shape"] = list(planned(found, seen, options).shape)
        except ValueError as error:
            problems.append(str(error))
    return described | {"problems": problems, "notices": lines}


def contents(seen: list[Seen], classes: list[str]) -> dict[str, Any]:
    """Counts, classes and sizes."""
    splits = sorted({s.item.split or "" for s in seen})
    boxes = {
        split: Counter(classes[b.label] for s in seen if s.item.split == split for b in s.boxes)
        for split in splits
    }
    every = [b for s in seen for b in s.boxes]
    sides = [(b.corners[2] - b.corners[0], b.corners[3] - b.corners[1]) for b in every]
    flags = Counter(b.flag for b in every)
    return {
        "count": dict(Counter(s.item.split for s in seen)),
        "classes": {split: dict(counts) for split, counts in boxes.items()},
        "crowds": flags[CROWD],
        "ignored": flags[IGNORE],
        "without_boxes": sum(not s.boxes for s in seen),
        "sizes": spread([s.size for s in seen]) | {"different": len({s.size for s in seen})},
        "boxes": spread(sides) if sides else {},
    }


def spread(sides: list[tuple[Any, Any]]) -> dict[str, list[int]]:
    """Smallest, median and largest width and height."""
    return {
        word: [int(f(side)) for side in zip(*sides, strict=True)]
        for word, f in (("min", min), ("median", statistics.median), ("max", max))
    }
