"""What a trained detector finds in new pictures: a table, COCO JSON, and pictures with boxes on them.

<run>/predictions/predictions.csv        a row a box: picture, label, score, x0, y0, x1, y1 in its pixels
                  predictions.json       the same as COCO has it, with the category numbers of the training
                  data
                  <name>.png             the first pictures with their boxes
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from deepcanon.data.box_coco import as_coco
from deepcanon.data.box_content import placement
from deepcanon.data.image_content import Plan
from deepcanon.data.metadata import Metadata
from deepcanon.engine.box_pictures import boxes_picture
from deepcanon.engine.callbacks import evaluation_mode
from deepcanon.engine.checkpoint import write_bytes
from deepcanon.metrics.detection import Detections

DRAWN, BATCH = 24, 16


class Boxes(NamedTuple):
    """Names of the pictures, their sizes (width, height), what was found in each, in its own pixels."""

    names: list[str]
    sizes: list[tuple[int, int]]
    found: list[Detections]
    classes: list[str]
    path: Path


def predict_boxes(method: Any, source: Metadata, what: list[Any], path: Path) -> Boxes:
    """Detect in pictures, and write what was found.

    Args:
        method: with `detect`.
        source: the metadata of the data that it was trained on.
        what: files, or folders of them.
        path: of the CSV file; the others are put beside it.

    Raises:
        ValueError: files that are no pictures.
    """
    from deepcanon.data.image_decode import looked_at
    from deepcanon.data.image_index import unsplit

    indices = [unsplit(part, predict=True) for part in what]
    if bad := {name: why for index in indices for name, why in index.bad.items()}:
        name, why = next(iter(bad.items()))
        raise ValueError(f"{name} cannot be read: {why}")
    rows = [(row, name) for index in indices for row, name in zip(index.rows, index.names, strict=True)]
    names, sizes, found = [], [], []
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        looks = [readable(looked_at, row, name).size for row, name in some]
        plans = [plan_of(source, size) for size in looks]
        x = torch.stack([picture_of(row, name, plan) for (row, name), plan in zip(some, plans, strict=True)])
        with evaluation_mode(method):
            seen = method.detect(x.to(next(method.parameters()).device))
        found += [own_pixels(d, size, plan) for d, size, plan in zip(seen, looks, plans, strict=True)]
        names, sizes = names + [name for _, name in some], sizes + looks
    result = Boxes(names, sizes, found, source["classes"], path)
    write(result, source, [row for row, _ in rows[:DRAWN]])
    return result


def readable(read: Any, row: Any, name: str, *arguments: Any) -> Any:
    """What a function reads of a picture; the ValueError names the picture."""
    try:
        return read(row, *arguments)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read: {error}") from None


def plan_of(source: Metadata, size: tuple[int, int]) -> Plan:
    """What a picture of that size is brought to: as it is, if it has the size that was trained on, else all
    of it in a square with black borders, or stretched where pictures were no squares."""
    channels, height, width = source["shape"]
    if size == (width, height):
        return Plan(None, "pad", channels, (channels, height, width), must_be_grey=False)
    fit = "pad" if height == width else "stretch"
    return Plan(max(height, width), fit, channels, (channels, height, width), must_be_grey=False)


def picture_of(row: Any, name: str, plan: Plan) -> Tensor:
    """A picture as the method takes it, float (C, H, W) in [0, 1]."""
    from deepcanon.data.image_decode import decoded

    x = readable(decoded, row, name, plan.size, plan.fit, plan.channels).float() / 255
    if x.shape != plan.shape:
        return torch.nn.functional.interpolate(x[None], plan.shape[1:], mode="bilinear", antialias=True)[0]
    return x


def own_pixels(d: Detections, size: tuple[int, int], plan: Plan) -> Detections:
    """What was found, in the pixels of the picture itself."""
    if plan.size is not None and plan.shape[1] != plan.shape[2]:
        scale = torch.tensor([size[0] / plan.shape[2], size[1] / plan.shape[1]])
        return Detections(d.boxes.cpu() * scale.repeat(2), d.scores.cpu(), d.labels.cpu())
    a, b, c, e = placement(size, plan)
    boxes = (d.boxes.cpu().float() - torch.tensor([c, e, c, e])) / torch.tensor([a, b, a, b])
    edge = torch.tensor([size[0], size[1], size[0], size[1]], dtype=torch.float32)
    return Detections(torch.minimum(boxes.clamp(min=0), edge), d.scores.cpu().float(), d.labels.cpu())


def write(result: Boxes, source: Metadata, pictures: list[Any]) -> None:
    """The table, the JSON file, and the first pictures, as they are."""
    write_bytes(result.path, boxes_csv(result).encode())
    rows = [list(zip(*(part.tolist() for part in d), strict=True)) for d in result.found]
    ids = source.get("category_ids", list(range(1, len(result.classes) + 1)))
    written = as_coco(result.names, result.sizes, rows, result.classes, ids)
    write_bytes(result.path.with_suffix(".json"), written.encode())
    from deepcanon.data.image_decode import decoded
    from deepcanon.predictions import picture_names

    for name, d, row in zip(picture_names(result.names), result.found, pictures, strict=False):
        x = decoded(row, channels=source["shape"][0]).float() / 255
        write_bytes(result.path.parent / f"{name}.png", boxes_picture(x, d, result.classes))


def boxes_csv(result: Boxes) -> str:
    """One row a box."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["picture", "label", "score", "x0", "y0", "x1", "y1"])
    for name, d in zip(result.names, result.found, strict=True):
        for box, score, label in zip(*(part.tolist() for part in d), strict=True):
            writer.writerow([name, result.classes[label], f"{score:.4f}", *(f"{v:.1f}" for v in box)])
    return text.getvalue()
