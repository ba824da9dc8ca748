"""Convolution as one matrix product (LeCun et al. 1989), over sequences, images and videos.

    y[o, p] = b[o] + sum_{c, k} w[o, c, k] x[c, s p + k],        size of y: floor((W + 2 P - F) / s) + 1

The windows of x are the rows of a matrix, the filters the columns of another. One axis of places makes it
temporal (Waibel et al. 1989), two are an image, three a video (Tran et al. 2015, arXiv 1412.0767). torch's
own convolutions are the same function, faster; this form shows what they compute.
B batch, C channels in, O out, F kernel side, P padding, s stride, p places, k offsets in a window.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def convolve(
    x: Float[Tensor, "B C *places"],
    weight: Float[Tensor, "O C *kernel"],
    bias: Float[Tensor, "O"] | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
) -> Float[Tensor, "B O *out"]:
    """The convolution (cross-correlation) of x with the filters, as many axes of places as the filters have.

    Raises:
        ValueError: another number of channels or axes, or a kernel larger than the padded input.
    """
    axes = weight.ndim - 2
    if x.ndim != weight.ndim or x.shape[1] != weight.shape[1]:
        wanted = f"(B, {weight.shape[1]}, {axes} axes of places)"
        raise ValueError(f"expected x as {wanted} for filters {tuple(weight.shape)}, got {tuple(x.shape)}")
    sides = each(padding, axes)
    x = F.pad(x, [side for side in reversed(sides) for _ in range(2)])
    rows = windows(x, weight.shape[2:], each(stride, axes))  # (B, C, *out, *kernel)
    rows = rows.movedim(1, 1 + axes).flatten(1 + axes)  # (B, *out, C F)
    y = rows @ weight.flatten(1).T  # (B, *out, O)
    return (y if bias is None else y + bias).movedim(-1, 1)


def windows(
    x: Float[Tensor, "B C *places"], kernel: Sequence[int], stride: Sequence[int]
) -> Float[Tensor, "B C *out_and_kernel"]:
    """The windows of every channel, a view: the axes of their places, then those inside of them.

    Raises:
        ValueError: a window larger than the input, or a stride below 1.
    """
    for axis, (side, step) in enumerate(zip(kernel, stride, strict=True), 2):
        output_size(x.shape[axis], side, step)
        x = x.unfold(axis, side, step)
    return x


def output_size(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """floor((W + 2 P - F) / s) + 1.

    Raises:
        ValueError: a kernel larger than the padded input, or a kernel or stride below 1.
    """
    if kernel < 1 or stride < 1 or padding < 0:
        raise ValueError(
            "expected kernel and stride of 1 or more and padding of 0 or more, "
            f"got {kernel}, {stride}, {padding}"
        )
    if kernel > size + 2 * padding:
        raise ValueError(
            f"a window of {kernel} does not fit into {size} places with {padding} of padding on both sides"
        )
    return (size + 2 * padding - kernel) // stride + 1


def same_padding(kernel: int) -> int:
    """P = (F - 1) / 2, which keeps the size at stride 1. Raises ValueError for an even kernel, where no P
    does.
    """
    if kernel % 2 == 0:
        raise ValueError(f"no padding of both sides keeps the size under an even kernel, got {kernel}")
    return (kernel - 1) // 2


def parameter_count(in_channels: int, out_channels: int, kernel: Sequence[int]) -> int:
    """(F_h F_w C + 1) O: the filters and their biases."""
    return (int(torch.Size(kernel).numel()) * in_channels + 1) * out_channels


def each(value: int | Sequence[int], axes: int) -> list[int]:
    """One value an axis."""
    values = [value] * axes if isinstance(value, int) else list(value)
    if len(values) != axes:
        raise ValueError(f"expected one value or {axes}, one an axis, got {value}")
    return values
