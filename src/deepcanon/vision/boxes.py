"""Boxes: their forms, what two of them share, and how one is written as a change of another.

    IoU = |a n b| / |a u b|,        GIoU = IoU - |hull \\ (a u b)| / |hull|
    t_x = (x - x_a) / w_a,  t_y = (y - y_a) / h_a,  t_w = log(w / w_a),  t_h = log(h / h_a)

A box is (x0, y0, x1, y1), its corners in pixels, x to the right and y down; a pixel is 1 wide, so that the
box of the first pixel is (0, 0, 1, 1). a is an anchor or a proposal, (x, y) a centre. GIoU is of Rezatofighi
et al. 2019 (arXiv 1902.09630), t of Girshick et al. 2014.
N boxes.
"""

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from deepcanon.metrics.detection import box_area, box_iou, checked_boxes, intersections

LARGEST = math.log(1_000 / 16)  # of t_w and t_h: nothing overflows

__all__ = [
    "box_area",
    "box_iou",
    "centred",
    "clip_boxes",
    "cornered",
    "decode_boxes",
    "encode_boxes",
    "flip_boxes",
    "from_xywh",
    "generalized_iou",
    "to_xywh",
]


def generalized_iou(a: Shaped[Tensor, "*B D 4"], b: Shaped[Tensor, "*B G 4"]) -> Float[Tensor, "*B D G"]:
    """GIoU of every a with every b, from -1 (far apart) to 1 (equal); boxes without area have IoU 0."""
    a, b = checked_boxes(a), checked_boxes(b)
    both = intersections(a, b)
    union = box_area(a)[..., :, None] + box_area(b)[..., None, :] - both
    low = torch.minimum(a[..., :, None, :2], b[..., None, :, :2])
    high = torch.maximum(a[..., :, None, 2:], b[..., None, :, 2:])
    hull = (high - low).prod(-1)
    return both / union.clamp(min=1e-12) - (hull - union) / hull.clamp(min=1e-12)


def to_xywh(boxes: Shaped[Tensor, "*N 4"]) -> Float[Tensor, "*N 4"]:
    """Left, top, width, height, as COCO writes them."""
    boxes = checked_boxes(boxes)
    return torch.cat([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], -1)


def from_xywh(boxes: Shaped[Tensor, "*N 4"]) -> Float[Tensor, "*N 4"]:
    """The inverse of `to_xywh`. Raises ValueError for a width or height below 0."""
    return checked_boxes(torch.cat([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], -1))


def centred(boxes: Shaped[Tensor, "*N 4"]) -> Float[Tensor, "*N 4"]:
    """Centre x, centre y, width, height."""
    boxes = checked_boxes(boxes)
    return torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)


def cornered(boxes: Shaped[Tensor, "*N 4"]) -> Float[Tensor, "*N 4"]:
    """The inverse of `centred`. Raises ValueError for a width or height below 0."""
    half = boxes[..., 2:] / 2
    return checked_boxes(torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1))


def clip_boxes(boxes: Shaped[Tensor, "*N 4"], height: int, width: int) -> Float[Tensor, "*N 4"]:
    """The part of each that lies inside an image; of one outside, a box without area on its edge."""
    boxes = checked_boxes(boxes)
    return torch.stack([boxes[..., i].clamp(0, (width, height)[i % 2]) for i in range(4)], -1)


def flip_boxes(boxes: Shaped[Tensor, "*N 4"], width: int) -> Float[Tensor, "*N 4"]:
    """The boxes in the mirror image, left and right exchanged."""
    x0, y0, x1, y1 = checked_boxes(boxes).unbind(-1)
    return torch.stack([width - x1, y0, width - x0, y1], -1)


def encode_boxes(boxes: Shaped[Tensor, "*N 4"], anchors: Shaped[Tensor, "*N 4"]) -> Float[Tensor, "*N 4"]:
    """(t_x, t_y, t_w, t_h) of each box with its anchor; both need an area."""
    (x, y, w, h), (xa, ya, wa, ha) = (centred(b).unbind(-1) for b in (boxes, anchors))
    return torch.stack([(x - xa) / wa, (y - ya) / ha, (w / wa).log(), (h / ha).log()], -1)


def decode_boxes(t: Float[Tensor, "*N 4"], anchors: Shaped[Tensor, "*N 4"]) -> Float[Tensor, "*N 4"]:
    """The boxes that are written as t; sizes end at 62.5 times the anchor's."""
    tx, ty, tw, th = t.to(anchors.dtype if t.dtype.itemsize < 4 else t.dtype).unbind(-1)
    xa, ya, wa, ha = centred(anchors).unbind(-1)
    w, h = wa * tw.clamp(max=LARGEST).exp(), ha * th.clamp(max=LARGEST).exp()
    x, y = xa + tx * wa, ya + ty * ha
    return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)
