"""What would be read of a user's pictures, and what would be done to them, without training on them."""

import statistics
from collections import Counter
from typing import Any

from .image_content import Options, Survey, cannot_read, decided, surveyed, tell
from .image_index import Index, split_index, unsplit
from .image_notices import collected
from .pictures import check_arguments


def describe_images(
    source: Any,
    *,
    size: int | str | None = "auto",
    fit: str = "crop",
    channels: int | None = None,
    skip_unreadable: bool = False,
) -> dict[str, Any]:
    """What `images` would read of a source, from names and headers alone.

    Args:
        source, size, fit, channels, skip_unreadable: as for `images`.

    Returns:
        kind, name; counts of each split; of each split the pictures of each class; sizes (width and height:
        smallest, median, largest,
        and how many different); modes with the bits of a sample; what is left out and why; what each
        picture is brought to; how many are
        changed and how; the problems for which `images` would refuse to train on them; the notices that it
        would print. All JSON.

    Raises:
        ValueError: the source as a whole cannot be read, as in `images`; pictures that cannot be read are
        described.
        FileNotFoundError: it is not there.
    """
    check_arguments("train", size, fit, channels)
    options = Options(size, fit, channels, skip_unreadable)
    index = unsplit(source)
    survey = surveyed(index)
    unreadable = index.bad | {index.names[row]: why for row, why in survey.bad.items()}
    described: dict[str, Any] = {
        "kind": "images",
        "name": index.name,
        "left_out": {"unreadable": unreadable, "not images": index.others, "in no split": index.left_out},
    }
    problems = []
    with collected() as lines:
        try:
            split_index(index, "train")
        except ValueError as error:
            problems.append(str(error))
        described |= contents(index, survey)
        if survey.looks:
            try:
                plan = decided(index, survey, options)
                tell(index, survey, plan, options)
                described["done"] = done(survey) | {"shape": list(plan.shape), "size": plan.size, "fit": fit}
            except ValueError as error:
                problems.append(str(error))
    if unreadable and not skip_unreadable:
        problems.append(cannot_read(index, survey.bad))
    return described | {"problems": problems, "notices": lines}


def contents(index: Index, survey: Survey) -> dict[str, Any]:
    """Counts, classes, sizes and modes."""
    splits = index.splits or []
    kinds = {
        split: Counter(index.labels[row] for row, part in enumerate(splits) if part == split)
        for split in sorted(set(splits))
    }
    sizes = [look.size for look in survey.looks.values()]
    modes = Counter(f"{look.mode}, {look.bits} bits" for look in survey.looks.values())
    return {
        "count": dict(Counter(splits)),
        "classes": {
            split: {name: counts[k] for k, name in enumerate(index.classes)}
            for split, counts in kinds.items()
        },
        "sizes": {
            word: [int(f(side)) for side in zip(*sizes, strict=True)]
            for word, f in (("min", min), ("median", statistics.median), ("max", max))
        }
        | {"different": len(set(sizes))},
        "modes": dict(modes.most_common()),
    }


def done(survey: Survey) -> dict[str, int]:
    """How many pictures are changed in which way."""
    looks = list(survey.looks.values())
    return {
        "turned upright": sum(look.turned for look in looks),
        "laid on white": sum(look.alpha for look in looks),
        "first of several frames": sum(look.frames > 1 for look in looks),
        "to 8 bits": sum(look.bits > 8 for look in looks),
        "to sRGB": sum(look.profile == "other" for look in looks),
    }
