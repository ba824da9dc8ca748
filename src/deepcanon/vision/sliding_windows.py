"""Detection by a classifier: every window of an image is classified, over places, scales and aspect ratios.

    N = sum over shapes (h, w) of (floor((H - h) / s_h) + 1) (floor((W - w) / s_w) + 1)

s is the stride, a share of the side of the window. It is the plainest detector and the slowest: see
`overfeat` for the same in one pass, and `region_proposals` for what replaced it.
C channels, H x W pixels, N windows, K classes, S x S pixels that the classifier takes.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from deepcanon.vision.detections import checked_images
from deepcanon.vision.regions import roi_align

BATCH = 256


def window_shapes(
    size: tuple[int, int], scales: Sequence[float], ratios: Sequence[float] = (1.0,)
) -> list[tuple[int, int]]:
    """Height and width of the windows in an image of (H, W): of each scale, a share of its shorter side, at
    each ratio of height to width and the same area. Those that do not fit are left out."""
    if min([*scales, *ratios], default=0) <= 0:
        raise ValueError(f"expected scales and ratios above 0, got {list(scales)} and {list(ratios)}")
    side = min(size)
    shapes = [
        (round(side * scale * ratio**0.5), round(side * scale / ratio**0.5))
        for scale in scales
        for ratio in ratios
    ]
    return list(dict.fromkeys((h, w) for h, w in shapes if 1 <= h <= size[0] and 1 <= w <= size[1]))


def window_grid(
    size: tuple[int, int], shapes: Sequence[tuple[int, int]], stride: float = 0.25
) -> Float[Tensor, "N 4"]:
    """The windows (x0, y0, x1, y1) of these shapes in an image of (H, W).

    Args:
        size: H, W.
        shapes: height and width of each.
        stride: distance of neighbours as a share of the side; a pixel at least.
    """
    if not stride > 0:
        raise ValueError(f"expected a stride above 0, got {stride}")
    found = []
    for shape in shapes:
        y, x = (
            torch.arange(0, total - side + 1, max(1, int(side * stride)))
            for total, side in zip(size, shape, strict=True)
        )
        corner = torch.cartesian_prod(y, x).flip(1)  # (n, 2), x then y
        found.append(torch.cat([corner, corner + torch.tensor([shape[1], shape[0]])], 1))
    return torch.cat(found).float() if found else torch.zeros(0, 4)


@torch.no_grad()
def classify_windows(
    classify: Callable[[Tensor], Tensor],
    image: Float[Tensor, "C H W"],
    boxes: Float[Tensor, "N 4"],
    side: int,
) -> Float[Tensor, "N K"]:
    """What a classifier says of every window, each brought to S x S pixels.

    Args:
        classify: (B, C, S, S) -> (B, K).
        image, boxes: the image and its windows.
        side: S.
    """
    image = checked_images(image[None])
    parts = []
    for part in boxes.split(BATCH):
        cut = roi_align(
            image, part, torch.zeros(len(part), dtype=torch.int64, device=image.device), side, samples=1
        )
        parts.append(classify(cut))
    return torch.cat(parts) if parts else classify(image.new_zeros(0, image.shape[1], side, side))
