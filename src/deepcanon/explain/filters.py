"""Filters of a first layer as images (Krizhevsky et al. 2012).

    image = (w - low) / (high - low)        w = low + (high - low) image

The weights of a first convolution have the channels of the image, so that they can be looked at: edges,
colours, frequencies. Those of later layers, whose input are maps, say little.
O filters, C channels, k x k weights.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class FilterImages(NamedTuple):
    """Filters in [0, 1] with the range that they were brought from, (O, 1, 1, 1) each."""

    images: Tensor
    low: Tensor
    high: Tensor

    def weights(self) -> Tensor:
        """The filters themselves."""
        return self.low + (self.high - self.low) * self.images


def filter_images(weight: Float[Tensor, "O C k l"]) -> FilterImages:
    """Each filter brought to [0, 1] by its own range, with 0.5 for a weight of zero; a flat filter is 0.5.

    Raises:
        ValueError: no filters (O, C, k, l), or weights that are not finite.
    """
    if weight.ndim != 4 or not weight.numel():
        raise ValueError(f"expected filters (O, C, k, l), got {tuple(weight.shape)}")
    weight = weight.detach()
    if not weight.isfinite().all():
        raise ValueError("expected filters of finite weights, got some that are nan or inf")
    half = weight.abs().amax((1, 2, 3), keepdim=True)
    high = torch.where(half > 0, half, torch.ones_like(half))
    return FilterImages((weight + high) / (2 * high), -high, high)


def first_filters(net: nn.Module) -> Float[Tensor, "O C k l"]:
    """The weights of the first convolution of a net.

    Raises:
        ValueError: a net without one.
    """
    found = next((module.weight for module in net.modules() if isinstance(module, nn.Conv2d)), None)
    if found is None:
        raise ValueError(
            f"{type(net).__name__} has no convolution: its first weights are no filters of an image"
        )
    return found.detach()


def image_grid(
    images: Float[Tensor, "n C H W"], columns: int | None = None, gap: int = 1, value: float = 1.0
) -> Float[Tensor, "C U V"]:
    """Images side by side in rows, `gap` pixels of `value` around each; columns None: about a square.

    Raises:
        ValueError: no images (n, C, H, W), no column, or a gap below 0.
    """
    if images.ndim != 4 or not len(images):
        raise ValueError(f"expected images (n, C, H, W), got {tuple(images.shape)}")
    columns = math.ceil(math.sqrt(len(images))) if columns is None else columns
    if columns < 1 or gap < 0:
        raise ValueError(f"expected 1 column or more and a gap of 0 or more, got {columns} and {gap}")
    rows = math.ceil(len(images) / columns)
    missing = images.new_full((rows * columns - len(images), *images.shape[1:]), value)
    framed = F.pad(torch.cat([images, missing]), (0, gap, 0, gap), value=value)  # (R * S, C, H + g, W + g)
    joined = framed.unflatten(0, (rows, columns)).permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
    return F.pad(joined, (gap, 0, gap, 0), value=value)
