"""What detectors share: what their batches must be, and what is kept of many scored boxes.

A batch is (images (B, C, H, W), boxes (B, M, 4), labels (B, M)): corners in pixels, classes 0..K-1, -1 where
there is none.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from deepcanon.metrics.detection import Detections
from deepcanon.vision.suppression import batched_nms


def boxed(batch: Sequence[Tensor]) -> Sequence[Tensor]:
    """The entries of a batch.

    Raises:
        ValueError: fewer than three.
    """
    if len(batch) < 3:
        raise ValueError(f"expected a batch (images, boxes, labels), got {len(batch)} entries")
    return batch


def checked_images(x: Shaped[Tensor, "..."]) -> Float[Tensor, "B C H W"]:
    """x.

    Raises:
        ValueError: no images of finite numbers.
    """
    if x.ndim != 4:
        raise ValueError(f"expected images (B, C, H, W), got {tuple(x.shape)}")
    if not x.is_floating_point():
        raise ValueError(
            f"expected floating-point images in [0, 1], got {x.dtype}; divide 8-bit images by 255"
        )
    if not x.isfinite().all():
        raise ValueError("expected images of finite numbers, got some that are nan or inf")
    return x


def checked_targets(x: Tensor, boxes: Tensor, labels: Tensor, num_classes: int) -> Float[Tensor, "B M 4"]:
    """The boxes, in float32 or float64; those without a label are nothing.

    Raises:
        ValueError: boxes or labels of another shape or type, a label that is no class, or a box with a label
            that is not finite, has no area or leaves the image.
    """
    checked_images(x)
    if boxes.ndim != 3 or boxes.shape[0] != len(x) or boxes.shape[2] != 4 or labels.shape != boxes.shape[:2]:
        raise ValueError(
            f"expected boxes ({len(x)}, M, 4) and labels ({len(x)}, M), got {tuple(boxes.shape)} and "
            f"{tuple(labels.shape)}"
        )
    if labels.is_floating_point() or (
        labels.numel() and (labels.amin() < -1 or labels.amax() >= num_classes)
    ):
        raise ValueError(
            f"expected whole-number labels in 0..{num_classes - 1}, -1 for none, got {labels.dtype} from "
            f"{labels.amin()} to {labels.amax()}"
        )
    if not boxes.isfinite().all():
        raise ValueError("expected finite boxes, got some that are nan or inf")
    boxes = boxes.float() if boxes.dtype.itemsize < 4 or not boxes.is_floating_point() else boxes
    there = labels >= 0
    if (there & (boxes[..., 2:] <= boxes[..., :2]).any(-1)).any():
        raise ValueError(
            "expected boxes (x0, y0, x1, y1) with an area, x0 < x1 and y0 < y1, got some without"
        )
    height, width = x.shape[2:]
    low, high = (
        boxes.amin((0, 1, 2)) if boxes.numel() else 0,
        boxes.flatten(0, 1).amax(0) if boxes.numel() else torch.zeros(4),
    )
    slack = 1 + max(height, width) / 64  # of coordinates in 16 bits
    if low < -slack or high[2] > width + slack or high[3] > height + slack:
        raise ValueError(
            f"expected boxes in pixels of {width} x {height} images, got corners from {low:g} to "
            f"({high[2]:g}, {high[3]:g})"
        )
    return torch.where(there[..., None], boxes, torch.zeros_like(boxes))


def best(
    boxes: Float[Tensor, "N 4"],
    scores: Float[Tensor, "N"],
    labels: Int[Tensor, "N"],
    *,
    least: float = 0.05,
    threshold: float = 0.5,
    most: int = 100,
) -> Detections:
    """Those of a score of `least` or more, of each class without what overlaps a surer one, the `most`
    surest.
    """
    sure = ((scores >= least) & (boxes[:, 2:] > boxes[:, :2]).all(1)).nonzero()[:, 0]
    boxes, scores, labels = boxes[sure], scores[sure], labels[sure]
    kept = batched_nms(boxes, scores, labels, threshold)[:most]
    return Detections(boxes[kept], scores[kept], labels[kept])
