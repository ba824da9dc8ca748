"""Non-maximum suppression: of detections that overlap, the one of the highest score.

    keep i   <=>   there is no kept j of a higher score with IoU(i, j) > threshold

The detections are sorted and worked through in blocks. Inside a block the rule above is iterated until
nothing changes, k <- [k U = 0], where U_ij = [IoU(i, j) > threshold] for j of a lower score than i: the
result is that of going through one by one (Zheng et al. 2022, arXiv 2005.03572). What a block keeps then
removes from all that follows.

Soft suppression (Bodla et al. 2017, arXiv 1704.04503) lowers scores in place of removing:

    s_i <- s_i exp(-IoU(i, j)^2 / sigma)                    for every j of a higher score, in order

N detections.
"""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from deepcanon.metrics.detection import box_area, box_iou, checked_boxes

BLOCK, TOGETHER = 64, 128  # detections a block; the largest class of those that are worked through at once


def nms(
    boxes: Shaped[Tensor, "N 4"], scores: Shaped[Tensor, "N"], threshold: float = 0.5
) -> Int[Tensor, "K"]:
    """Row numbers of the detections that stay, the highest score first; of equal scores the lower row.

    Args:
        boxes: (x0, y0, x1, y1), of any type; areas are computed in float32 or float64.
        scores: one each.
        threshold: of the IoU, in [0, 1].

    Raises:
        ValueError: what are no boxes, scores that are not finite or not one a box, a threshold outside [0,
            1].
    """
    order = scores.argsort(descending=True, stable=True)
    sides = checked(boxes, scores, threshold)[order].T.contiguous()  # (4, N): x0, y0, x1, y1
    area, kept = box_area(sides.T), []
    while len(order):
        overlap = overlapping(sides[:, :BLOCK], area[:BLOCK], sides, area, threshold)  # (BLOCK, rest)
        stays = greedy(overlap[:, :BLOCK])
        kept.append(order[:BLOCK][stays])
        rest = (~overlap[:, BLOCK:][stays].any(0)).nonzero()[:, 0] + BLOCK
        order, sides, area = order[rest], sides[:, rest], area[rest]
    return torch.cat(kept) if kept else order


def checked(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """The boxes, of 32 bits or more; ValueError where something is not as `nms` needs it."""
    if scores.shape != boxes.shape[:1] or not scores.isfinite().all():
        raise ValueError(f"expected one finite score a box, ({len(boxes)},), got {tuple(scores.shape)}")
    if not 0 <= threshold <= 1:
        raise ValueError(f"expected a threshold in [0, 1], got {threshold}")
    return checked_boxes(boxes)


def overlapping(
    a: Shaped[Tensor, "4 *G A"], area_a: Tensor, b: Shaped[Tensor, "4 *G B"], area_b: Tensor, threshold: float
) -> Bool[Tensor, "*G A B"]:
    """Whether IoU(a, b) > threshold, of sides x0, y0, x1, y1; written without a division."""
    a, area_a, b, area_b = a[..., None], area_a[..., None], b[..., None, :], area_b[..., None, :]
    width = torch.minimum(a[2], b[2]).sub_(torch.maximum(a[0], b[0])).clamp_(min=0)
    height = torch.minimum(a[3], b[3]).sub_(torch.maximum(a[1], b[1])).clamp_(min=0)
    both = width.mul_(height)
    return both > (area_a + area_b).sub_(both).mul_(threshold)


def greedy(overlap: Bool[Tensor, "*G N N"]) -> Bool[Tensor, "*G N"]:
    """Which of detections in order of score stay, from which pairs overlap."""
    above = overlap.triu(1).float()  # row i may remove column j
    stays = torch.ones(above.shape[:-1], dtype=torch.bool, device=above.device)
    while True:
        again = (stays[..., None, :].float() @ above)[..., 0, :] == 0
        if torch.equal(again, stays):
            return stays
        stays = again


def batched_nms(
    boxes: Shaped[Tensor, "N 4"],
    scores: Shaped[Tensor, "N"],
    labels: Int[Tensor, "N"],
    threshold: float = 0.5,
) -> Int[Tensor, "K"]:
    """`nms` of each class (or image) by itself; the highest score first.

    Raises:
        ValueError: as `nms`, or labels that are not one whole number a box.
    """
    checked(boxes, scores, threshold)
    if labels.shape != scores.shape or labels.is_floating_point():
        raise ValueError(
            f"expected one whole-number label a box, ({len(boxes)},), "
            f"got {labels.dtype} {tuple(labels.shape)}"
        )
    order = scores.argsort(descending=True, stable=True)
    order = order[labels[order].argsort(stable=True)]  # class by class, in each the surest first
    counts = labels.unique(return_counts=True)[1]
    if len(order) and counts.max() <= TOGETHER:
        kept = order[together(checked_boxes(boxes)[order], counts, threshold)]
    else:
        groups = order.split(counts.tolist())
        kept = torch.cat([rows[nms(boxes[rows], scores[rows], threshold)] for rows in groups] or [order])
    kept = kept.sort().values  # of equal scores the lower row
    return kept[scores[kept].argsort(descending=True, stable=True)]


def together(boxes: Float[Tensor, "N 4"], counts: Int[Tensor, "G"], threshold: float) -> Bool[Tensor, "N"]:
    """Which boxes stay, of groups that follow each other, the surest of each first: all groups at once."""
    most = int(counts.max())
    group = torch.arange(len(counts), device=boxes.device).repeat_interleave(counts)
    place = torch.arange(len(boxes), device=boxes.device) - (counts.cumsum(0) - counts)[group]
    sides = boxes.new_zeros(len(counts), most, 4)  # what is empty overlaps nothing
    sides[group, place] = boxes
    sides, area = sides.permute(2, 0, 1).contiguous(), box_area(sides)
    return greedy(overlapping(sides, area, sides, area, threshold))[group, place]


def soft_nms(
    boxes: Shaped[Tensor, "N 4"], scores: Float[Tensor, "N"], sigma: float = 0.5, least: float = 1e-3
) -> tuple[Int[Tensor, "K"], Float[Tensor, "K"]]:
    """Row numbers in order of their lowered scores, and these scores; what falls below `least` is left out.

    Raises:
        ValueError: as `nms`, or a sigma that is not above 0.
    """
    boxes = checked(boxes, scores, 0.5)
    if not sigma > 0:
        raise ValueError(f"expected sigma above 0, got {sigma}")
    weaker = (-box_iou(boxes, boxes).square() / sigma).exp()  # (N, N)
    left, kept, found = scores.to(boxes.dtype).clone(), [], []
    for _ in range(len(boxes)):
        best = left.argmax()
        if left[best] < least:
            break
        kept.append(best)
        found.append(left[best].clone())
        left = left * weaker[best]
        left[best] = -torch.inf
    if not kept:
        return labels_like(boxes), left[:0]
    return torch.stack(kept), torch.stack(found)


def labels_like(boxes: Tensor) -> Tensor:
    """No row number."""
    return torch.zeros(0, dtype=torch.int64, device=boxes.device)
