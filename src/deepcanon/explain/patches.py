"""Top-activating image regions of a unit (Girshick et al. 2014, arXiv 1311.2524; Zeiler & Fergus 2014).

    of channel m of layer l:   the k images of largest max_np a^l_mnp, with the receptive field of that maximum

N images, C channels, H x W pixels, k regions.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from deepcanon.explain.functional import activations, image_pixels
from deepcanon.explain.receptive_fields import receptive_field
from deepcanon.layers.modes import evaluating

AT_ONCE = 256  # images that are run together


class Patches(NamedTuple):
    """Regions of images, the strongest first.

    Args:
        values: activations (k,).
        images: rows of the images (k,).
        positions: row and column of the unit in the layer's maps (k, 2).
        boxes: top, left, bottom, right in pixels (k, 4), bottom and right exclusive.
    """

    values: Float[Tensor, "k"]
    images: Int[Tensor, "k"]
    positions: Int[Tensor, "k 2"]
    boxes: Int[Tensor, "k 4"]


def top_patches(
    net: nn.Module, layer: nn.Module | str, x: Shaped[Tensor, "N C H W"], channel: int, k: int = 9
) -> Patches:
    """The images that excite a channel most, and where.

    Args:
        layer: a module of the net whose output are maps, or its name.
        channel: of the layer.
        k: regions, one an image; all of them where there are fewer images.

    Raises:
        ValueError: a layer without maps, a channel that it does not have, no region asked for.
    """
    x = image_pixels(net, x)
    if k < 1:
        raise ValueError(f"expected 1 region or more, got {k}")
    best, where = [], []
    with evaluating(net), torch.no_grad():
        for part in x.split(AT_ONCE):
            a = activations(net, layer, part)
            if a.ndim != 4:
                raise ValueError(f"expected a layer of maps (B, C, h, w), got {tuple(a.shape)}")
            if not 0 <= channel < a.shape[1]:
                raise ValueError(f"expected a channel in 0..{a.shape[1] - 1}, got {channel}")
            value, place = a[:, channel].flatten(1).max(1)
            best.append(value)
            where.append(torch.stack([place // a.shape[3], place % a.shape[3]], 1))
    values, rows = torch.cat(best).topk(min(k, len(x)))
    positions = torch.cat(where)[rows]
    field = receptive_field(net, layer, x[:1])
    boxes = [field.box(row, column, (x.shape[2], x.shape[3])) for row, column in positions.tolist()]
    return Patches(values, rows, positions, torch.tensor(boxes))


def cut(x: Shaped[Tensor, "N C H W"], patches: Patches) -> list[Tensor]:
    """The regions themselves, (C, h, w) each; at the edge of an image they are smaller."""
    return [
        x[i, :, top:bottom, left:right]
        for i, (top, left, bottom, right) in zip(patches.images.tolist(), patches.boxes.tolist())
    ]
