"""How well a detector finds objects that stand close together, beside all others.

An object is crowded if its centre lies in one cell of a grid of 7 x 7 with that of another: YOLO (Redmon et
al. 2016) can tell only one of them. G objects.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepcanon.metrics.detection import Detections, Objects, overlap

GRID = 7


def recalls(
    found: Sequence[Detections], objects: Sequence[Objects], size: tuple[int, int]
) -> dict[str, float]:
    """Shares of crowded objects and of others that some detection of their class covers with an IoU of
    0.5.
    """
    hits: dict[bool, list[float]] = {True: [], False: []}
    for d, there in zip(found, objects, strict=True):
        same = (d.labels[:, None] == there.labels) & (overlap(d.boxes, there.boxes.to(d.boxes)) >= 0.5)
        for hit, crowd in zip(same.any(0).tolist(), crowded(there.boxes, size).tolist(), strict=True):
            hits[crowd].append(float(hit))
    names = {True: "crowded_recall", False: "apart_recall"}
    return {names[key]: sum(values) / len(values) for key, values in hits.items() if values}


def crowded(boxes: Float[Tensor, "G 4"], size: tuple[int, int]) -> Bool[Tensor, "G"]:
    """Which boxes of an image of (H, W) have their centre in one cell of a 7 x 7 grid with another's, bool
    (M,).
    """
    height, width = size
    cell = ((boxes[:, :2] + boxes[:, 2:]) / 2 * torch.tensor([GRID / width, GRID / height])).floor()
    return (cell[:, None] == cell).all(2).sum(1) > 1
