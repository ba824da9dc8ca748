"""Pooling: each window of places is one number, a channel at a time.

    max         y[c, p] = max_k  x[c, s p + k]
    average     y[c, p] = mean_k x[c, s p + k]        the only one of the two that is linear
    global      y[c]    = mean_p x[c, p]              Lin et al. 2014, arXiv 1312.4400

Over sequences, images and volumes alike; the global mean makes one vector of an image of any size.
B batch, C channels, s stride, p places, k offsets in a window.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from deepcanon.layers.convolution import each, windows


def max_pool(
    x: Float[Tensor, "B C *places"], kernel: int | Sequence[int], *, stride: int | Sequence[int] | None = None
) -> Float[Tensor, "B C *out"]:
    """The largest number of each window; windows side by side without a stride."""
    inside = tuple(range(-(x.ndim - 2), 0))
    return pooled(x, kernel, stride).amax(inside)


def average_pool(
    x: Float[Tensor, "B C *places"], kernel: int | Sequence[int], *, stride: int | Sequence[int] | None = None
) -> Float[Tensor, "B C *out"]:
    """The mean of each window; windows side by side without a stride."""
    inside = tuple(range(-(x.ndim - 2), 0))
    return pooled(x, kernel, stride).mean(inside)


def global_average_pool(x: Float[Tensor, "B C *places"]) -> Float[Tensor, "B C"]:
    """The mean over all places."""
    return x.mean(tuple(range(2, x.ndim)))


def pooled(x: Tensor, kernel: int | Sequence[int], stride: int | Sequence[int] | None) -> Tensor:
    """The windows (B, C, *out, *kernel).

    Raises:
        ValueError: no axis of places, or a window larger than the input.
    """
    axes = x.ndim - 2
    if axes < 1:
        raise ValueError(f"expected (B, C, one axis of places or more), got {tuple(x.shape)}")
    return windows(x, each(kernel, axes), each(kernel if stride is None else stride, axes))
