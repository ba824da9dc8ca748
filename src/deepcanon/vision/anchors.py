"""Anchors: boxes of a few shapes at every place of a map, and which of them answer for an object.

    a = 1     IoU with some object >= high, or the highest IoU of all anchors with an object
    a = 0     IoU with every object < low
    a = -1    neither: not learned from

H x W places, A shapes, N = H W A anchors, B images, M objects of one at most.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def anchor_shapes(sizes: Sequence[float], ratios: Sequence[float] = (0.5, 1.0, 2.0)) -> Float[Tensor, "A 2"]:
    """Width and height of squares of these sides, each stretched to these ratios of height to width at the
    same area.
    """
    if not sizes or not ratios or min(*sizes, *ratios) <= 0:
        raise ValueError(
            f"expected one size and one ratio or more, all above 0, got {list(sizes)} and {list(ratios)}"
        )
    return torch.tensor([[size / ratio**0.5, size * ratio**0.5] for size in sizes for ratio in ratios])


def anchor_grid(
    shapes: Float[Tensor, "A 2"], places: tuple[int, int], size: tuple[int, int]
) -> Float[Tensor, "N 4"]:
    """The anchors of a map of `places` over an image of `size` (both height, width), centred on the places'
    middles.
    """
    y, x = (
        (torch.arange(n, device=shapes.device) + 0.5) * (side / n)
        for n, side in zip(places, size, strict=True)
    )
    centre = torch.stack([x.expand(places), y[:, None].expand(places)], -1)[..., None, :]  # (H, W, 1, 2)
    return torch.cat([centre - shapes / 2, centre + shapes / 2], -1).flatten(0, 2)


def match(
    iou: Float[Tensor, "B N M"], there: Bool[Tensor, "B M"], *, high: float, low: float, always: bool = True
) -> tuple[Int[Tensor, "B N"], Int[Tensor, "B N"]]:
    """1, 0 or -1 for each anchor, and the object that it is nearest to.

    Args:
        iou: of each anchor with each object.
        there: which objects there are.
        high, low: see the head of this file.
        always: every object has an anchor, however low its IoU.
    """
    iou = torch.where(there[:, None], iou, -1.0)
    highest, nearest = (
        iou.max(2) if iou.shape[2] else (iou.new_full(iou.shape[:2], -1), iou.new_zeros(iou.shape[:2]).long())
    )
    answer = torch.where(highest >= high, 1, torch.where(highest < low, 0, -1))
    if always and iou.shape[2]:
        most = iou.amax(1, keepdim=True)
        own = (iou == most) & (most > 0)
        answer = torch.where(own.any(2), 1, answer)
        nearest = torch.where(own.any(2), own.float().argmax(2), nearest)
    return answer, nearest


def sample(
    answer: Int[Tensor, "B N"], count: int, share: float
) -> tuple[Int[Tensor, "B R"], Bool[Tensor, "B R"]]:
    """Rows drawn at random, `count` an image of which `share` at most are positive; and which of them are
    real, where there are too few.
    """
    draw = torch.rand(answer.shape, device=answer.device)
    positive = torch.where(answer == 1, draw, -1.0)
    rank = positive.argsort(1, descending=True).argsort(1)
    chosen = (answer == 1) & (rank < int(count * share))
    key = torch.where(chosen, draw + 2, torch.where(answer == 0, draw, -1.0))
    value, rows = key.topk(min(count, answer.shape[1]), dim=1)
    return rows, value >= 0
