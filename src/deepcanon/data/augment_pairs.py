"""Augmentation of images and their masks alike: each maker returns a function (x, y, generator) -> x, y.

    augment = compose(flip(), zoom((0.75, 1.5)), images_only(jitter(brightness=0.3)))

Images are interpolated, masks take the nearest label. What comes into view from outside is black and has the label
`fill`, the ignored one. B batch, C channels, H x W pixels.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Generator, Tensor

from .augment import Augment, chance, jitter, uniform

PairAugment = Callable[[Tensor, Tensor, Generator], tuple[Tensor, Tensor]]
IGNORED = 255


def compose(*augments: PairAugment) -> PairAugment:
    """One after the other."""

    def augment(x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        for one in augments:
            x, y = one(x, y, generator)
        return x, y

    return augment


def images_only(change: Augment) -> PairAugment:
    """A change of light and colour, which leaves everything at its place."""

    def augment(x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return change(x, generator), y

    return augment


def flip(p: float = 0.5, *, vertical: bool = False) -> PairAugment:
    """Left and right exchanged (or up and down) with probability p."""
    axis = -2 if vertical else -1

    def augment(x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        turned = chance(x, generator, p)                                         # (B, 1, 1, 1)
        return torch.where(turned, x.flip(axis), x), torch.where(turned[:, 0], y.flip(axis), y)

    return augment


def zoom(scale: tuple[float, float] = (0.75, 1.5), *, shift: float = 0.25, fill: int = IGNORED) -> PairAugment:
    """Enlarged by U[scale] about the middle, then moved by U[-shift, shift] of each side."""

    def augment(x: Float[Tensor, "B C H W"], y: Int[Tensor, "B H W"], generator: Generator) -> tuple[Tensor, Tensor]:
        back = 1 / uniform(x, generator, *scale)
        place = torch.stack([-2 * back * uniform(x, generator, -shift, shift) for _ in range(2)], 1)
        theta = torch.cat([torch.diag_embed(back[:, None].expand(-1, 2)), place.unsqueeze(-1)], -1)    # (B, 2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        labels = F.grid_sample((y[:, None] - fill).to(x.dtype), grid, mode="nearest", align_corners=False)
        return F.grid_sample(x, grid, align_corners=False), labels[:, 0].round().to(y.dtype) + fill

    return augment


def window(size: int) -> PairAugment:
    """A window of size x size at a random place."""

    def augment(x: Float[Tensor, "B C H W"], y: Int[Tensor, "B H W"], generator: Generator) -> tuple[Tensor, Tensor]:
        if size > min(x.shape[2:]):
            raise ValueError(f"a window of {size} x {size} does not fit into images {tuple(x.shape)}")
        cut = [t.unfold(-2, size, 1).unfold(-2, size, 1) for t in (x, y)]        # (B, ..., places, places, H, W)
        top, left = (torch.randint(places, (len(x),), generator=generator, device=x.device) for places in cut[1].shape[1:3])
        row = torch.arange(len(x), device=x.device)
        return cut[0][row, :, top, left], cut[1][row, top, left]

    return augment


def changes(move: float, turn: str, light: float, fill: int = IGNORED) -> PairAugment:
    """Mirror images, zoom and light: what a run of segmentation learns from.

    Args:
        move: images are enlarged by up to 1 + 2 move, made smaller by 1 - move, and moved as far.
        turn: mirror images: sides, both (up and down too) or none.
        light: strength of changes of brightness, contrast and saturation.
        fill: the label of what comes into view.

    Raises:
        ValueError: another turn, or a move of 1 or more.
    """
    if turn not in ("sides", "both", "none") or not 0 <= move < 1:
        raise ValueError(f"expected flip as sides, both or none and zoom in [0, 1), got {turn!r} and {move}")
    flips = [flip(), flip(vertical=True)][: {"none": 0, "sides": 1, "both": 2}[turn]]
    moves = [zoom((1 - move, 1 + 2 * move), shift=move, fill=fill)] if move else []
    return compose(*flips, *moves, images_only(jitter(brightness=light, contrast=light, saturation=light)))
