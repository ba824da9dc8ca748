"""Average precision of object detection (Everingham et al. 2010; COCO: Lin et al. 2014, arXiv 1405.0312).

    IoU(a, b) = |a n b| / |a u b|
    AP        = mean over r in {0, 1/100, ..., 1} of  max_{r' >= r} precision(r')        or the area below it

Detections of a class, the surest first, are matched to the objects of their image: each takes the free object
of the highest IoU, if that reaches the threshold. Precision is the share of matched ones among the first n,
recall the share of the objects that these found. Matches to a crowd or to an object that is to be ignored
count as neither right nor wrong, and a crowd may be matched again and again. Boxes are (x0, y0, x1, y1).
D detections, G objects, K classes, T thresholds of the IoU.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from deepcanon.layers.precision import SIXTEEN_BITS

COCO = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))  # thresholds of its mean
SMALL, MEDIUM, LARGE = (
    (0.0, 32.0**2),
    (32.0**2, 96.0**2),
    (96.0**2, 1e10),
)  # areas in pixels, as COCO has them


class Detections(NamedTuple):
    """What was found in an image."""

    boxes: Float[Tensor, "D 4"]
    scores: Float[Tensor, "D"]
    labels: Int[Tensor, "D"]


class Objects(NamedTuple):
    """What is in an image: boxes, classes, which of them are crowds, which are to be ignored, their areas.

    None: no crowd, none ignored, the areas of the boxes.
    """

    boxes: Float[Tensor, "G 4"]
    labels: Int[Tensor, "G"]
    crowd: Bool[Tensor, "G"] | None = None
    ignore: Bool[Tensor, "G"] | None = None
    area: Float[Tensor, "G"] | None = None


def checked_boxes(boxes: Shaped[Tensor, "..."], name: str = "boxes") -> Float[Tensor, "*B 4"]:
    """The boxes, in float32 where their type has 16 bits or is one of whole numbers.

    Raises:
        ValueError: not four finite numbers each, or corners in another order than (x0, y0, x1, y1).
    """
    if boxes.ndim < 2 or boxes.shape[-1] != 4:
        raise ValueError(f"expected {name} (N, 4), got {tuple(boxes.shape)}")
    boxes = boxes.float() if boxes.dtype in SIXTEEN_BITS or not boxes.is_floating_point() else boxes
    if not boxes.isfinite().all():
        raise ValueError(f"expected finite {name}, got some that are nan or inf")
    if (boxes[..., 2:] < boxes[..., :2]).any():
        raise ValueError(
            f"expected {name} as (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1, got some that are not"
        )
    return boxes


def box_area(boxes: Shaped[Tensor, "*B 4"]) -> Float[Tensor, "*B"]:
    """Areas; in float32 where the type of the boxes has 16 bits, in which 300 x 300 would overflow."""
    return area(checked_boxes(boxes))


def box_iou(
    a: Shaped[Tensor, "*B D 4"], b: Shaped[Tensor, "*B G 4"], crowd: Bool[Tensor, "*B G"] | None = None
) -> Float[Tensor, "*B D G"]:
    """Intersection over union of every a with every b; two boxes without area have 0.

    Args:
        a, b: boxes.
        crowd: those of b for which the share of a that lies inside is taken, |a n b| / |a|.

    Raises:
        ValueError: what are no boxes.
    """
    return overlap(checked_boxes(a), checked_boxes(b), crowd)


def overlap(
    a: Float[Tensor, "*B D 4"], b: Float[Tensor, "*B G 4"], crowd: Bool[Tensor, "*B G"] | None = None
) -> Float[Tensor, "*B D G"]:
    """`box_iou` of what is known to be boxes; nan where they are."""
    area_a, area_b = area(a)[..., :, None], area(b)[..., None, :]
    both = intersections(a, b)
    whole = area_a + area_b - both
    if crowd is not None:
        whole = torch.where(crowd[..., None, :], area_a, whole)
    return both / whole.clamp(min=torch.finfo(both.dtype).tiny)


def area(boxes: Float[Tensor, "*B 4"]) -> Float[Tensor, "*B"]:
    """Width times height."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def intersections(a: Float[Tensor, "*B D 4"], b: Float[Tensor, "*B G 4"]) -> Float[Tensor, "*B D G"]:
    """The area that every a shares with every b."""
    low = torch.maximum(a[..., :, None, :2], b[..., None, :, :2])
    high = torch.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    return (high - low).clamp_(min=0).prod(-1)


def mean_average_precision(
    detections: Sequence[Detections],
    objects: Sequence[Objects],
    num_classes: int,
    *,
    thresholds: Sequence[float] = COCO,
    areas: tuple[float, float] = (0.0, 1e10),
    most: int = 100,
    points: int | None = 101,
) -> Float[Tensor, "T K"]:
    """Average precision of every class at every threshold; nan for a class of which there is no object.

    Args:
        detections, objects: of each image, in the same order.
        num_classes: K.
        thresholds: of the IoU.
        areas: from, to, in squared pixels; objects outside are ignored, and so are unmatched detections
            outside.
        most: detections that count, of each image and class.
        points: at which recalls the precision is averaged, 101 as COCO, 11 as VOC 2007; None: the area, as
            VOC 2010.

    Raises:
        ValueError: not one entry an image each, what are no boxes, or a label that is no class.
    """
    if len(detections) != len(objects):
        raise ValueError(f"expected detections of each of {len(objects)} images, got {len(detections)}")
    for found, there in zip(detections, objects, strict=True):
        check_labels(found.labels, found.boxes, num_classes)
        check_labels(there.labels, there.boxes, num_classes)
        if found.scores.shape != found.labels.shape or not found.scores.isfinite().all():
            raise ValueError(f"expected one finite score a detection, got {tuple(found.scores.shape)}")
    result = np.full((len(thresholds), num_classes), np.nan)
    for k in range(num_classes):
        parts = [
            match_class(found, there, k, thresholds, areas, most)
            for found, there in zip(detections, objects, strict=True)
        ]
        positives = sum(part.positives for part in parts)
        scores, right, counts = (
            np.concatenate([part[i] for part in parts] or [np.zeros(0)], -1) for i in range(3)
        )
        if positives:
            result[:, k] = [
                interpolated_precision(scores[c], r[c], positives, points)
                for r, c in zip(right, counts.astype(bool), strict=True)
            ]
    return torch.from_numpy(result).float()


def check_labels(labels: Tensor, boxes: Tensor, num_classes: int) -> None:
    """Refuse labels that are not one class a box."""
    if labels.shape != boxes.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f"expected one whole-number label a box, ({len(boxes)},), "
            f"got {labels.dtype} {tuple(labels.shape)}"
        )
    if len(labels) and (labels.amin() < 0 or labels.amax() >= num_classes):
        raise ValueError(f"expected labels in 0..{num_classes - 1}, got {labels.amin()}..{labels.amax()}")


class ClassMatches(NamedTuple):
    """Detections of a class in an image, the surest first: scores; which are right and which count, at each
    threshold; and how many objects there are to find."""

    scores: np.ndarray  # (D,)
    right: np.ndarray  # (T, D)
    counts: np.ndarray  # (T, D)
    positives: int


def match_class(
    found: Detections,
    there: Objects,
    k: int,
    thresholds: Sequence[float],
    areas: tuple[float, float],
    most: int,
) -> ClassMatches:
    """The detections of class k of an image, matched."""
    mine = (found.labels == k).nonzero()[:, 0]
    mine = mine[found.scores[mine].double().argsort(descending=True, stable=True)][:most]
    boxes, scores = found.boxes[mine].double(), found.scores[mine].double().numpy()
    real = (there.labels == k).nonzero()[:, 0]
    truth = there.boxes[real].double()
    crowd, ignore = (
        torch.zeros(len(real), dtype=torch.bool) if flags is None else flags[real]
        for flags in (there.crowd, there.ignore)
    )
    size = area(truth) if there.area is None else there.area[real].double()
    ignore = ignore | crowd | (size < areas[0]) | (size > areas[1])
    match = matches(overlap(boxes, truth, crowd).numpy(), crowd.numpy(), ignore.numpy(), thresholds)  # (T, D)
    ignored = np.append(ignore.numpy(), False)[match] & (match >= 0)
    size = area(boxes).numpy()
    outside = (match < 0) & ((size < areas[0]) | (size > areas[1]))
    return ClassMatches(scores, match >= 0, ~ignored & ~outside, int((~ignore).sum()))


def matches(
    iou: np.ndarray, crowd: np.ndarray, ignore: np.ndarray, thresholds: Sequence[float]
) -> np.ndarray:
    """(T, D) the object that each detection takes at each threshold, -1 for none; an ignored one only if no
    other fits.
    """
    least = np.minimum(np.asarray(thresholds, float), 1 - 1e-10)[:, None]  # (T, 1)
    match = np.full((len(least), len(iou)), -1)
    if not iou.size:
        return match
    free, rows = np.ones((len(least), iou.shape[1]), bool), np.arange(len(least))
    for d in np.flatnonzero(iou.max(1) >= least.min()):
        fits = free & (iou[d] >= least)  # (T, G)
        value = np.where(fits, iou[d] + 2.0 * ~ignore, -1.0)
        best = iou.shape[1] - 1 - value[:, ::-1].argmax(1)  # of equal ones the last, as COCO's
        taken = fits.any(1)
        match[taken, d] = best[taken]
        free[rows[taken], best[taken]] = crowd[best[taken]]
    return match


def interpolated_precision(
    scores: np.ndarray, right: np.ndarray, positives: int, points: int | None = 101
) -> float:
    """From the scores of detections and which of them are right to the average precision over `positives`
    objects.
    """
    order = np.argsort(-scores, kind="stable")
    hits = right[order].cumsum()
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / positives
    precision = np.maximum.accumulate(precision[::-1])[::-1]  # the best at this recall or more
    if points is None:
        return float((np.diff(recall, prepend=0.0) * precision).sum())
    place = np.searchsorted(recall, np.linspace(0, 1, points), side="left")
    return float(np.append(precision, 0.0)[np.minimum(place, len(precision))].mean())
