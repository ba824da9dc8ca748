"""Augmentation of pictures with boxes: each maker returns (x, boxes, labels, generator) -> the same, changed.

    boxes(data, augment=in_turn(mirrored(), zoomed(0.5), on_pictures(jitter(0.2))))

A box that is cut to less than a third of itself is dropped: its label becomes -1.
B pictures, M boxes each at most; pictures are float (B, C, H, W), boxes (B, M, 4), (x0, y0, x1, y1) in
pixels.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .augment import Augment, uniform

BoxAugment = Callable[[Tensor, Tensor, Tensor, Generator], tuple[Tensor, Tensor, Tensor]]
LEAST = 1 / 3  # of a box that must be left


def in_turn(*augments: BoxAugment) -> BoxAugment:
    """One after the other."""

    def augment(
        x: Tensor, boxes: Tensor, labels: Tensor, generator: Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        for one in augments:
            x, boxes, labels = one(x, boxes, labels, generator)
        return x, boxes, labels

    return augment


def on_pictures(change: Augment) -> BoxAugment:
    """A change of the pictures that moves nothing: light, colour, noise."""
    return lambda x, boxes, labels, generator: (change(x, generator), boxes, labels)


def mirrored(p: float = 0.5, upside_down: bool = False) -> BoxAugment:
    """Left and right exchanged with probability p; with `upside_down` also up and down."""

    def augment(
        x: Tensor, boxes: Tensor, labels: Tensor, generator: Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        for axis in (0, 1) if upside_down else (0,):
            chosen = torch.rand(len(x), generator=generator, device=x.device) < p
            x = torch.where(chosen.view(-1, 1, 1, 1), x.flip(3 - axis), x)
            boxes = torch.where(chosen.view(-1, 1, 1), mirror(boxes, x.shape[3 - axis], axis), boxes)
        return x, boxes, labels

    return augment


def mirror(boxes: Tensor, side: int, axis: int = 0) -> Tensor:
    """Boxes in the mirror image of a picture that is `side` wide (axis 0) or high (axis 1): [2, 1, 5, 4] in
    10 is [5, 1, 8, 4].
    """
    out = boxes.clone()
    out[..., axis], out[..., axis + 2] = side - boxes[..., axis + 2], side - boxes[..., axis]
    return out


def zoomed(least: float = 0.5, most: float = 1.0) -> BoxAugment:
    """A window of `least` to `most` of each side, at a random place, brought back to the size of the picture;
    above 1 there is black outside.
    """

    def augment(
        x: Tensor, boxes: Tensor, labels: Tensor, generator: Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        height, width = x.shape[2:]
        share = uniform(x, generator, least, most)
        left, top = ((1 - share) * uniform(x, generator, 0.0, 1.0) * side for side in (width, height))
        windows = torch.stack([left, top, left + share * width, top + share * height], -1)  # (B, 4)
        return crop(x, boxes, labels, windows)

    return augment


def crop(x: Tensor, boxes: Tensor, labels: Tensor, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The windows (B, 4) of pictures, each resized to the size of the pictures, with their boxes."""
    height, width = x.shape[2:]
    size = torch.tensor([width, height], dtype=windows.dtype, device=x.device)
    span = windows[:, 2:] - windows[:, :2]  # (B, 2)
    centre = (windows[:, 2:] + windows[:, :2]) / size - 1
    theta = torch.diag_embed(span / size)
    grid = F.affine_grid(torch.cat([theta, centre[..., None]], -1).to(x), list(x.shape), align_corners=False)
    inside, labels = cut_boxes(boxes, labels, windows)
    scale = (size / span).repeat(1, 2)[:, None]
    return F.grid_sample(x, grid, align_corners=False), inside * scale.to(boxes), labels


def cut_boxes(boxes: Tensor, labels: Tensor, windows: Tensor, least: float = LEAST) -> tuple[Tensor, Tensor]:
    """What lies inside windows, in their own coordinates: [2, 1, 5, 4] in the window [0, 0, 4, 4] is [2, 1,
    4, 4].

    Args:
        boxes, labels: (B, M, 4) and (B, M).
        windows: (B, 4).
        least: the share of a box that must be left, or its label becomes -1 and its box nothing.
    """
    corner, end = windows[:, None, :2].to(boxes), windows[:, None, 2:].to(boxes)
    low, high = (torch.minimum(torch.maximum(part, corner), end) for part in boxes.split(2, -1))
    left = (high - low).prod(-1)
    whole = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    kept = (labels >= 0) & (left > 0) & (left >= least * whole)
    inside = torch.cat([low - corner, high - corner], -1)
    return torch.where(kept[..., None], inside, 0.0), torch.where(kept, labels, -1)
