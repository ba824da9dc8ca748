"""How pictures are changed while a classifier learns, and whether it may learn from their mirror images.

A mirrored photograph of a dog shows a dog; a mirrored "turn left" is another sign, a mirrored 2 no digit. Which holds
is found out from the pictures themselves: ridge regression on their pixels learns four folds of five with and without
mirrored copies. If the copies cost more pictures of the fifth than chance explains, nothing is mirrored.

N pictures, C channels, H x W pixels, K classes.
"""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from deepcanon.data import Source, augment
from deepcanon.data.augment import Augment
from deepcanon.data.image_notices import say

LOOKED_AT, SIDE, FOLDS, RIDGE = 1_000, 32, 5, 0.3


class Photograph:
    """Crops, light and colour; with mirror images where these keep the class of the source's pictures, and small turns where they do not.

    Pictures whose mirror images are others, signs and letters, are framed and upright: there small turns and shifts teach more than crops.
    """

    def __init__(self, source: Source):
        self.source, self.change = source, None

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        if self.change is None:
            mirrored = mirror_keeps_classes(*examples(self.source))
            say(f"{self.source.name}: learning {'also from' if mirrored else 'without'} mirror images, which "
                f"{'keep' if mirrored else 'can change'} the class of a picture here")
            light = augment.jitter(brightness=0.2, contrast=0.2)
            crop = augment.crop(max(1, round(min(self.source.shape[1:]) / 8)))
            turn = augment.affine(degrees=10.0, translate=0.1, scale=(0.85, 1.15), shear=5.0)
            self.change = augment.compose(crop, augment.flip(), light) if mirrored else augment.compose(turn, light)
        return self.change(x, generator)


def examples(source: Source) -> tuple[Tensor, Tensor]:
    """Up to `LOOKED_AT` training pictures, evenly spread, of at most `SIDE` pixels a side, and their labels."""
    content = source.train(shuffle=False).content
    rows = torch.linspace(0, len(content.y) - 1, min(len(content.y), LOOKED_AT)).long()
    x = content.x.index_select(0, rows).float()
    sides = [min(side, SIDE) for side in x.shape[2:]]
    return F.interpolate(x, sides, mode="bilinear", antialias=True), content.y[rows]


def mirror_keeps_classes(x: Tensor, y: Tensor) -> bool:
    """Whether mirrored copies cost no more held-out pictures than chance explains, within two deviations."""
    alone, copied = (held_out_hits(x, y, mirrored) for mirrored in (False, True))
    lost, gained = ((a & ~b).sum().item() for a, b in ((alone, copied), (copied, alone)))
    return lost - gained <= 2 * math.sqrt(lost + gained)


def held_out_hits(x: Tensor, y: Tensor, mirrored: bool) -> Tensor:
    """Which pictures ridge regression puts into their class, bool (N,), each when its fold was not trained on."""
    n, x = len(x), x - x.mean((0, 2, 3), keepdim=True)
    rows = torch.cat([x, x.flip(-1)]).flatten(1).double()                                # (2 N, C H W)
    kernel = rows @ rows.T
    kernel = kernel / kernel.diagonal().mean().clamp(min=1e-12) + RIDGE * torch.eye(2 * n)
    target = F.one_hot(y).double()
    target = (target - target.mean(0)).repeat(2, 1)                                      # (2 N, K)
    fold = torch.randperm(n, generator=torch.Generator().manual_seed(0)) % FOLDS
    hits = torch.zeros(n, dtype=torch.bool)
    for k in range(min(FOLDS, n)):
        test, train = (fold == k).nonzero()[:, 0], (fold != k).nonzero()[:, 0]
        train = torch.cat([train, train + n]) if mirrored else train
        weights = torch.linalg.solve(kernel[train][:, train], target[train])
        hits[test] = (kernel[test][:, train] @ weights).argmax(1) == y[test]
    return hits


def distortion(name: str, source: Source) -> Augment | None:
    """The changes of that name, for pictures of the source's size.

    Raises:
        ValueError: a name that is none of them.
    """
    shift = augment.crop(max(1, round(min(source.shape[1:]) / 14)))
    tilt = augment.affine(degrees=12.0, translate=0.08, scale=(0.88, 1.12), shear=10.0)
    known = {
        "none": None, "shift": shift, "flip": augment.flip(),
        "crop": augment.compose(augment.crop(max(1, round(min(source.shape[1:]) / 8))), augment.flip()),
        "affine": augment.affine(degrees=10.0, translate=0.05, scale=(0.9, 1.1)),
        "elastic": augment.compose(tilt, augment.elastic(20.0, p=0.5)),
        "erase": augment.compose(shift, augment.flip(), augment.erase()),
        "photo": Photograph(source),
    }
    if name not in known:
        raise ValueError(f"expected distort as one of {', '.join(known)}, got {name!r}")
    return known[name]
