"""What a run's data are, in a line: how many examples, of what shape, with how many classes."""

from __future__ import annotations

from dataclasses import dataclass

THINGS = {
    "images": "images",
    "points": "points",
    "toy": "points",
    "table": "rows",
    "arrays": "examples",
    "env": "environment",
}
SHOWN = 24  # class names that are listed


@dataclass(frozen=True)
class DataInfo:
    """Name, one line about it, and the names of its classes."""

    name: str
    text: str
    classes: list[str]


def data_of(call: dict) -> list[DataInfo]:
    """Every source that a call records, or the batches that it was trained on."""
    sources = [
        (str(s.get("name", "")), str(s.get("kind", "")), s)
        for s in call.get("sources") or []
        if isinstance(s, dict)
    ]
    if not sources:
        sources = [(key, key.partition(":")[0], about) for key, about in flat(call["data"])]
    found = [DataInfo(name, describe(kind, about), names(about)) for name, kind, about in sources]
    return list({(info.name, info.text): info for info in found}.values())


def flat(data: dict) -> list[tuple[str, dict]]:
    """The entries of call["data"]; of several sources put together, each."""
    entries = []
    for key, about in data.items():
        parts = about.get("sources")
        entries += (
            [(f"{key} {i + 1}", part) for i, part in enumerate(parts)]
            if isinstance(parts, list)
            else [(key, about)]
        )
    return entries


def names(about: dict) -> list[str]:
    """The first class names, and an ellipsis where there are more."""
    classes = [str(c) for c in about.get("classes") or []]
    return classes[:SHOWN] + (["…"] if len(classes) > SHOWN else [])


def describe(kind: str, about: dict) -> str:
    """ "1,437 images to train on, 360 to test on; 8×8 pixels, grey; 10 classes"."""
    thing = "tokens" if kind == "text" else THINGS.get(kind, "examples")
    parts = []
    if isinstance(count := about.get("count"), int):
        test = about.get("test_count")
        parts.append(
            f"{count:,} {thing}" + (f" to train on, {test:,} to test on" if isinstance(test, int) else "")
        )
    if vocabulary := about.get("vocabulary"):
        parts.append(f"{len(vocabulary):,} different tokens")
    if shape := about.get("shape"):
        parts.append(shaped(kind, list(shape)))
    if classes := about.get("classes"):
        parts.append(f"{len(classes)} classes")
    if (actions := about.get("actions")) is not None:
        parts.append(f"actions: {actions}")
    return "; ".join(parts)


def shaped(kind: str, shape: list) -> str:
    """ "8×8 pixels, grey" for images; sizes for anything else."""
    if kind in ("images", "masks", "captions") and len(shape) == 3:
        colour = {1: "grey", 3: "colour"}.get(shape[0], f"{shape[0]} channels")
        return f"{shape[1]}×{shape[2]} pixels, {colour}"
    if len(shape) == 1:
        return f"{shape[0]} numbers each"
    return "×".join(map(str, shape)) + " numbers each"
