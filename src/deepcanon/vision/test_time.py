"""Averaging over views at test time (Krizhevsky et al. 2012; Simonyan & Zisserman 2015).

    p(x) = 1/V sum_v softmax(net(view_v(x)))

The views are those that a net has learned to see past: mirror images, crops of the corners and the middle.
Plain functions from images to images of the same size: `averaged(net, x, (as_it_is, mirrored))`.
B batch, S shape of an example, C channels, H x W pixels, K classes, V views.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

View = Callable[[Tensor], Tensor]


def averaged(net: nn.Module, x: Float[Tensor, "B *S"], views: Sequence[View]) -> Float[Tensor, "B K"]:
    """The logarithm of the class probabilities averaged over the views; of a single view, the net's logits.

    Raises:
        ValueError: no view.
    """
    if not views:
        raise ValueError("expected one view or more to average over, got none")
    logits = [net(view(x)) for view in views]
    if len(views) == 1:
        return logits[0]
    return torch.stack([each.log_softmax(1) for each in logits]).logsumexp(0) - math.log(len(views))


def as_it_is(x: Float[Tensor, "B *S"]) -> Float[Tensor, "B *S"]:
    """The images themselves, or whatever the net reads."""
    return x


def mirrored(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Left and right exchanged."""
    return x.flip(-1)


def moved(x: Float[Tensor, "B C H W"], down: int, right: int) -> Float[Tensor, "B C H W"]:
    """The images shifted by so many pixels, black where nothing comes in: the crop at a corner of the
    padded image.
    """
    H, W = x.shape[-2:]
    if abs(down) >= H or abs(right) >= W:
        raise ValueError(f"a shift by ({down}, {right}) leaves nothing of images of {H} x {W} pixels")
    return F.pad(x, [right, -right, down, -down])


def ten_views(step: int) -> tuple[View, ...]:
    """The middle and the four corners, `step` pixels away, each as it is and mirrored: the ten crops of
    AlexNet.
    """
    corners = [partial(moved, down=down, right=right) for down in (-step, step) for right in (-step, step)]
    return (as_it_is, mirrored, *corners, *(partial(mirrored_and, view=view) for view in corners))


def mirrored_and(x: Float[Tensor, "B C H W"], view: View) -> Float[Tensor, "B C H W"]:
    """A view, mirrored."""
    return mirrored(view(x))
