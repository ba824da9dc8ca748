"""Occlusion (Zeiler & Fergus 2014, arXiv 1311.2901).

    M_ij = mean over the windows w that cover (i, j) of  S(x) - S(x with w filled)

B batch, C channels, H x W pixels, k window, s stride.
"""

import itertools
import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.explain.functional import Target, image_pixels, score, settled
from deepcanon.layers.modes import evaluating

AT_ONCE = 64  # occluded copies that are run together


def occlusion(
    net: nn.Module,
    x: Shaped[Tensor, "B C H W"],
    target: Target = None,
    *,
    window: int = 8,
    stride: int | None = None,
    fill: float = 0.0,
) -> Float[Tensor, "B H W"]:
    """How far the score falls when a square window is filled, for each pixel the mean over the windows that
    cover it.

    Args:
        target: as in `saliency`; the likeliest class is that of the whole image.
        window: k, its side in pixels; at the right and lower edge it may be cut.
        stride: s, by default half a window.
        fill: the value of the window, in the units of x.

    Raises:
        ValueError: a window larger than the image, a stride that leaves pixels uncovered; input as in
            `saliency`.
    """
    x = image_pixels(net, x)
    height, width = x.shape[2:]
    stride = max(1, window // 2) if stride is None else stride
    if not 1 <= window <= min(height, width):
        raise ValueError(f"expected a window of 1 to {min(height, width)} pixels, got {window}")
    if not 1 <= stride <= window:
        raise ValueError(
            f"expected a stride of 1 to {window} pixels, so that every pixel is covered, got {stride}"
        )
    target = settled(net, x, target)
    size = 1 if callable(target) else max(1, AT_ONCE // len(x))
    total, count = x.new_zeros(len(x), height, width), x.new_zeros(height, width)
    corners = list(itertools.product(starts(height, window, stride), starts(width, window, stride)))
    with evaluating(net), torch.no_grad():
        before = score(net(x), target)  # (B,)
        for part in (corners[i : i + size] for i in range(0, len(corners), size)):
            copies = x.repeat(len(part), 1, 1, 1).unflatten(0, (len(part), len(x)))
            for copy, (top, left) in zip(copies, part):
                copy[:, :, top : top + window, left : left + window] = fill
            along = target.repeat(len(part)) if isinstance(target, Tensor) else target
            after = score(net(copies.flatten(0, 1)), along).unflatten(0, (len(part), len(x)))
            for drop, (top, left) in zip(before - after, part):
                total[:, top : top + window, left : left + window] += drop[:, None, None]
                count[top : top + window, left : left + window] += 1
    return total / count


def starts(size: int, window: int, stride: int) -> list[int]:
    """Where windows begin, so that they cover `size` pixels; the last may reach over the edge."""
    return [i * stride for i in range(1 + math.ceil((size - window) / stride))]
