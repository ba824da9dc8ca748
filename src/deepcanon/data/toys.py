"""Points in the plane whose density is known.

    p(x) = 1/K sum_k N(x; c_k, s^2 I)        K centres c_k, in a few places or dense along a curve

    data = toy("moons", batch=256)
    x, y = data.at(0)                        # x float32 (B, 2), y int64 (B,): which of the two moons
    density("moons").log_prob(x)             # exactly, in nats

A curve's centres are so dense that its density is smooth. Every toy lies within |x_1|, |x_2| < 4. N points, K centres.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from . import sets
from .batches import Batches, Content
from .order import mix


class Mixture(NamedTuple):
    """An equal mixture of round Gaussians: centres (K, 2), the part of the figure that each belongs to (K,), and their deviation s."""

    centres: Tensor
    parts: Tensor
    deviation: float

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, (N, 2) -> (N,)."""
        centres, variance = self.centres.to(x), self.deviation**2
        distance = (x.unsqueeze(1) - centres).square().sum(-1)                       # (N, K)
        return (-distance / (2 * variance)).logsumexp(1) - math.log(2 * math.pi * variance * len(centres))

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """n points (n, 2) and their parts (n,)."""
        k = torch.randint(len(self.centres), (n,), generator=generator)
        return self.centres[k] + self.deviation * torch.randn(n, 2, generator=generator), self.parts[k]


def toy(name: str, *, count: int = 10_000, split: str = "train", batch: int = 128, seed: int = 0, shuffle: bool | None = None) -> Batches:
    """Points of a toy, drawn once: `count` for each split, the same whatever the seed.

    Args:
        name: one of `TOYS`.
        split: `train` or `test`.
        seed: of the order.
        shuffle: by default the train split is shuffled and the test split is in order.

    Raises:
        ValueError: unknown name or split, fewer points than one.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got '{split}'")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    mixture = density(name)

    def load() -> Content:
        x, y = mixture.sample(count, torch.Generator().manual_seed(mix(count, ("train", "test").index(split))))
        moments = {"mean": x.mean(0).tolist(), "std": x.std(0, correction=0).tolist()}
        return Content(x, y, None, {"classes": [str(part) for part in range(int(mixture.parts.max()) + 1)], **moments})

    shuffled = split == "train" if shuffle is None else shuffle
    return Batches(f"toy:{name}:{split}:{count}", load, batch=batch, shuffle=shuffled, seed=seed, augment=None)


def density(name: str) -> Mixture:
    """The density that the toy of that name is drawn from.

    Raises:
        ValueError: unknown name.
    """
    if name not in TOYS:
        raise ValueError(f"there is no toy '{name}'{sets.nearest(name, list(TOYS))}")
    return TOYS[name]()


def mixture_of(deviation: float, *figures: Tensor) -> Mixture:
    """The mixture of all centres; the figures are its parts."""
    return Mixture(torch.cat(figures), torch.cat([torch.full((len(f),), i) for i, f in enumerate(figures)]), deviation)


def arc(radius: float, points: int, turn: float = 1.0) -> Tensor:
    """Points at equal distances on a circle, or on the first part of it, (points, 2)."""
    angle = 2 * math.pi * turn * torch.arange(points) / points
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def spiral(points: int) -> Tensor:
    """Points on the spiral r = 3 u, angle 3 pi u, u from 1/6 to 1, at almost equal distances, (points, 2)."""
    u = torch.linspace(1 / 36, 1, points).sqrt()
    angle = 3 * math.pi * u
    return 3 * (u * torch.stack([angle.cos(), angle.sin()])).T


def square_grid(side: int, distance: float) -> Tensor:
    """side x side points around the origin, (side^2, 2)."""
    line = distance * (torch.arange(side) - (side - 1) / 2)
    return torch.cartesian_prod(line, line)


MOON = arc(1.6, 200, turn=0.5) - torch.tensor([0.8, 0.4])

TOYS: dict[str, Callable[[], Mixture]] = {
    "two_gaussians": lambda: mixture_of(0.4, torch.tensor([-2.0, 0.0]).expand(4, 2), torch.tensor([[2.0, 0.0]])),     # weights 0.8 and 0.2
    "eight_gaussians": lambda: mixture_of(0.25, *arc(2.0, 8).split(1)),
    "ring": lambda: mixture_of(0.05, *arc(2.0, 8).split(1)),                                                          # narrow: what is between shows
    "ten_gaussians": lambda: mixture_of(0.1, *arc(2.0, 10).split(1)),
    "grid": lambda: mixture_of(0.1, *square_grid(5, 1.0).split(1)),
    "rings": lambda: mixture_of(0.1, *(arc(radius, round(100 * radius)) for radius in (0.6, 1.3, 2.0, 2.7))),
    "moons": lambda: mixture_of(0.15, MOON, -MOON),
    "spirals": lambda: mixture_of(0.1, spiral(300), -spiral(300)),
}
