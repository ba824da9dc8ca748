"""Flows on images at several scales (Dinh et al. 2017, arXiv 1605.08803, sections 3.6 and 3.7).

    squeeze     (C, 2 H, 2 W) -> (4 C, H, W)           2 x 2 pixels become channels, so that channels can be split and mixed
    split       the first half of the channels is done, the second goes on at the next scale

Both leave the shape of a data point alone: `Squeezed` runs its inner transform on the squeezed image and puts the pixels back, `OnHalf` passes
its inner transform one half of the channels and, given a net, takes the other half relative to the mean and scale that the net reads from the
first, as Glow's code does. A flow of L scales is Squeezed(steps, OnHalf(a flow of L - 1 scales)).
B batch, C channels, H x W pixels.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.flows.flow import Chain, Context, Mapped, Transform, inverted, mapped


class Squeezed(nn.Module):
    """A transform of (B, 4 C, H, W) as one of (B, C, 2 H, 2 W).

    Args:
        inner: the transform.
    """

    takes_context = True

    def __init__(self, inner: Transform):
        super().__init__()
        self.inner: Any = inner

    def forward(self, x: Float[Tensor, "B C H W"], context: Context = None) -> Mapped:
        z, log_det = mapped(self.inner, squeeze(x), context)
        return F.pixel_shuffle(z, 2), log_det

    def inverse(self, z: Float[Tensor, "B C H W"], context: Context = None) -> Mapped:
        x, log_det = inverted(self.inner, squeeze(z), context)
        return F.pixel_shuffle(x, 2), log_det


class OnHalf(nn.Module):
    """A transform of the second half of the channels; the first half is left to what the second says of it.

    Args:
        inner: of (B, C/2, H, W).
        rest: a transform of all channels that changes the first half alone, `AffineCoupling(net, swap=True)`; None leaves it as it is.
    """

    takes_context = True

    def __init__(self, inner: Transform, rest: Transform | None = None):
        super().__init__()
        self.inner: Any = inner
        self.rest: Any = rest or Chain()

    def forward(self, x: Float[Tensor, "B C H W"], context: Context = None) -> Mapped:
        x, log_det = mapped(self.rest, x, context)
        done, going_on = x.chunk(2, 1)
        z, inner_log_det = mapped(self.inner, going_on, context)
        return torch.cat([done, z], 1), log_det + inner_log_det

    def inverse(self, z: Float[Tensor, "B C H W"], context: Context = None) -> Mapped:
        done, below = z.chunk(2, 1)
        going_on, inner_log_det = inverted(self.inner, below, context)
        x, log_det = inverted(self.rest, torch.cat([done, going_on], 1), context)
        return x, log_det + inner_log_det


def squeeze(x: Float[Tensor, "B C H2 W2"]) -> Float[Tensor, "B C4 H W"]:
    """Each 2 x 2 pixels as channels.

    Raises:
        ValueError: an odd side.
    """
    if x.ndim != 4 or x.shape[2] % 2 or x.shape[3] % 2:
        raise ValueError(f"squeezing needs images (B, C, H, W) of even height and width, got {tuple(x.shape)}")
    return F.pixel_unshuffle(x, 2)


def multiscale(shape: tuple[int, int, int], scales: int, steps: Callable[[int], Any], rest: Callable[[int], Any]) -> Squeezed:
    """A flow of several scales.

    Args:
        shape: (C, H, W) of the images.
        scales: how often the image is squeezed.
        steps: channels -> the transform of one scale.
        rest: channels -> what takes the first half relative to the second before it is left behind.

    Raises:
        ValueError: a side that cannot be halved so often.
    """
    channels, height, width = shape
    if scales < 1 or height % 2**scales or width % 2**scales:
        raise ValueError(f"{scales} scales need one or more, and sides that can be halved as often, got images {shape}")
    here = steps(4 * channels)
    if scales == 1:
        return Squeezed(here)
    below = multiscale((2 * channels, height // 2, width // 2), scales - 1, steps, rest)
    return Squeezed(Chain(here, OnHalf(below, rest(4 * channels))))
