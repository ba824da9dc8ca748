"""Connected parts of a mask, all at once: each pixel takes the largest number around it, then the number that stands there.

    l_i <- max_{j next to i} l_j,     l_i <- l_{l_i}        from l_i = i, until nothing changes

The second step jumps to where a number came from, so that long paths take few rounds.
B masks, H x W pixels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor


def connected_components(mask: Bool[Tensor, "*B H W"], *, diagonal: bool = True) -> Int[Tensor, "*B H W"]:
    """The parts of each mask, numbered 1, 2, ... in the order of their first pixels; 0 outside.

    Args:
        mask: which pixels count.
        diagonal: whether pixels that touch by a corner are connected.

    Raises:
        ValueError: no mask (..., H, W) of truths.
    """
    if mask.ndim < 2 or mask.dtype != torch.bool:
        raise ValueError(f"expected masks (..., H, W) of truths, got {mask.dtype} {tuple(mask.shape)}")
    flat = mask.reshape(-1, *mask.shape[-2:])
    n = flat[:1].numel()
    place = n - torch.arange(n, device=mask.device).view(flat.shape[-2:])        # the first pixel has the largest number
    labels = place.mul(flat)                                                     # (B, H, W), 0 outside
    while True:
        spread = dilated(labels, diagonal) * flat
        rows = F.pad(spread.flatten(1), (1, 0))                                  # number k stands at pixel n - k
        jumped = rows.gather(1, (n - spread.flatten(1) + 1).remainder(n + 1)).view_as(flat)
        if torch.equal(jumped, labels):
            return in_order(labels).view(mask.shape)
        labels = jumped


def dilated(labels: Int[Tensor, "B H W"], diagonal: bool = True) -> Int[Tensor, "B H W"]:
    """The largest number at each pixel or next to it."""
    x = F.pad(labels, (1, 1, 1, 1))
    across = torch.maximum(torch.maximum(x[..., :-2], x[..., 1:-1]), x[..., 2:])
    if diagonal:
        return torch.maximum(torch.maximum(across[:, :-2], across[:, 1:-1]), across[:, 2:])
    return torch.maximum(across[:, 1:-1], torch.maximum(x[:, :-2, 1:-1], x[:, 2:, 1:-1]))


def in_order(labels: Int[Tensor, "B H W"]) -> Int[Tensor, "B H W"]:
    """Numbers 1, 2, ... of each map, the largest of its own first; 0 stays."""
    found = torch.zeros_like(labels)
    for i, one in enumerate(labels):
        values, inverse = one.unique(return_inverse=True)                        # ascending; 0 is the background
        ranks = len(values) - torch.arange(len(values), device=labels.device)
        found[i] = torch.where(one > 0, ranks[inverse], 0)
    return found
