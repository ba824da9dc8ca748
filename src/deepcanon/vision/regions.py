"""Regions of a map, each brought to P x P values: RoI pooling (Girshick 2015, arXiv 1504.08083) and RoI align
(He et al. 2017, arXiv 1703.06870).

    pool    y_ij = max of the map over cell (i, j) of the region, whose borders are rounded to whole places
    align   y_ij = mean of S x S bilinear samples, evenly spread over cell (i, j), nothing rounded

Values stand at the centres of their places: the value of column 0 is at x = 0.5. A bilinear sample is a sum
of four places, so y_ij is a weighted sum of 4 S^2 places, y = A m for a sparse A and the table m of all
places, a row each. The gradient is A^T g. `embedding_bag` takes both sums.
N images, C channels, H x W places, R regions, P x P cells, S x S samples a cell.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.autograd.function import once_differentiable

from deepcanon.layers.precision import narrowed, widened
from deepcanon.metrics.detection import checked_boxes


def roi_align(
    maps: Float[Tensor, "N C H W"],
    boxes: Shaped[Tensor, "R 4"],
    images: Int[Tensor, "R"],
    size: int = 7,
    *,
    scale: float | tuple[float, float] = 1.0,
    samples: int = 2,
) -> Float[Tensor, "R C P P"]:
    """Each region at P x P cells; differentiable in the maps.

    Args:
        maps: of the images.
        boxes: regions (x0, y0, x1, y1) in pixels.
        images: of which image each is.
        size: P.
        scale: places a pixel, 1/8 for maps of stride 8; down and across, where these differ.
        samples: S.

    Raises:
        ValueError: maps, boxes or image numbers of another form; a size, scale or number of samples that is
            not above 0.
    """
    boxes = checked_regions(maps, boxes, images, size, scale)
    if samples < 1:
        raise ValueError(f"expected one sample a cell or more, got {samples}")
    height, width = maps.shape[2:]
    columns, across = axis_weights(boxes[:, 0::2], width, size, samples)  # (R, P, 2 S) each
    rows, down = axis_weights(boxes[:, 1::2], height, size, samples)
    first = images[:, None, None, None, None] * (height * width)
    place = first + rows[:, :, None, :, None] * width + columns[:, None, :, None, :]  # (R, P, P, 2 S, 2 S)
    weight = down[:, :, None, :, None] * across[:, None, :, None, :]
    table = widened(maps).permute(0, 2, 3, 1).flatten(0, 2).contiguous()  # (N H W, C)
    y = WeightedSums.apply(
        table, place.flatten(0, 2).flatten(1).int(), weight.flatten(0, 2).flatten(1).to(table)
    )
    return narrowed(y.unflatten(0, (len(boxes), size, size)).permute(0, 3, 1, 2), like=maps)


class WeightedSums(torch.autograd.Function):
    """y_r = sum_k w_rk m[p_rk] for a table m (M, C), places p and weights w (R, K); differentiable in the
    table.
    """

    @staticmethod
    def forward(ctx, table: Tensor, places: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(places, weights)
        ctx.length = len(table)
        return F.embedding_bag(places, table, mode="sum", per_sample_weights=weights)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        places, weights = ctx.saved_tensors
        flat = places.flatten()
        order = flat.argsort()
        starts = F.pad(torch.bincount(flat, minlength=ctx.length).cumsum(0), (1, 0)).to(flat)
        rows = torch.div(order, places.shape[1], rounding_mode="floor").to(flat)
        return (
            F.embedding_bag(
                rows,
                gradient.contiguous(),
                starts,
                mode="sum",
                include_last_offset=True,
                per_sample_weights=weights.flatten()[order],
            ),
            None,
            None,
        )


def axis_weights(ends: Float[Tensor, "R 2"], length: int, size: int, samples: int) -> tuple[Tensor, Tensor]:
    """Along one axis: which two places each sample of each cell is between, and their weights, (R, P, 2 S)
    each.

    A sample up to one place outside the map has the value of its border, one farther outside none.
    """
    steps = (torch.arange(size * samples, device=ends.device, dtype=ends.dtype) + 0.5) / (size * samples)
    at = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * steps - 0.5  # (R, P S), 0 is the first centre
    inside = (at >= -1) & (at <= length)
    at = at.clamp(0, length - 1)
    low = at.floor()
    share = at - low
    place = torch.stack([low, (low + 1).clamp(max=length - 1)], -1).long()
    weight = torch.stack([1 - share, share], -1) * inside[..., None] / samples
    return place.view(len(ends), size, 2 * samples), weight.view(len(ends), size, 2 * samples)


def roi_pool(
    maps: Float[Tensor, "N C H W"],
    boxes: Shaped[Tensor, "R 4"],
    images: Int[Tensor, "R"],
    size: int = 7,
    *,
    scale: float | tuple[float, float] = 1.0,
) -> Float[Tensor, "R C P P"]:
    """The maximum over each of P x P cells of each region. Arguments and errors are those of `roi_align`.

    A region runs from round(x0 scale) to round(x1 scale), both places included, as far as the map goes; it
    has one place at least.
    """
    boxes = checked_regions(maps, boxes, images, size, scale)
    height, width = maps.shape[2:]
    ends = (boxes + 0.5).floor().long()
    x0, x1 = (ends[:, i].clamp(0, width - 1) for i in (0, 2))
    y0, y1 = (ends[:, i].clamp(0, height - 1) for i in (1, 3))
    regions = zip(images.tolist(), y0.tolist(), y1.tolist(), x0.tolist(), x1.tolist(), strict=True)
    cells = [F.adaptive_max_pool2d(maps[n, :, t : b + 1, l : r + 1], size) for n, t, b, l, r in regions]
    return torch.stack(cells) if cells else maps.new_zeros(0, maps.shape[1], size, size)


def checked_regions(
    maps: Tensor, boxes: Tensor, images: Tensor, size: int, scale: float | tuple[float, float]
) -> Tensor:
    """The boxes in places of the map, of 32 bits or more; ValueError where something is not as `roi_align`
    needs it.
    """
    if maps.ndim != 4 or 0 in maps.shape[1:]:
        raise ValueError(f"expected maps (N, C, H, W), got {tuple(maps.shape)}")
    if images.shape != boxes.shape[:1] or images.is_floating_point():
        raise ValueError(
            f"expected one image number a box, ({len(boxes)},), got {images.dtype} {tuple(images.shape)}"
        )
    if len(images) and (images.amin() < 0 or images.amax() >= len(maps)):
        raise ValueError(
            f"expected image numbers in 0..{len(maps) - 1}, got {images.amin()}..{images.amax()}"
        )
    down, across = scale if isinstance(scale, tuple) else (scale, scale)
    if size < 1 or not (down > 0 and across > 0):
        raise ValueError(f"expected size and scale above 0, got {size} and {scale}")
    boxes = checked_boxes(boxes)
    return boxes * boxes.new_tensor([across, down, across, down])
