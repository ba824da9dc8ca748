"""What the presets share: their form, and small data and nets."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deepcanon.nets.perceptron import mlp


@dataclass(frozen=True)
class Preset:
    """A method, its batch, and what to expect of it.

    Args:
        build: () -> method.
        batch: () -> batch.
        learns: the player whose loss falls when it alone is trained.
        verbs: name of a verb -> arguments to call it with.
        frozen: prefixes of the parameters that are never trained.
    """

    build: Callable[[], nn.Module]
    batch: Callable[[], tuple[Tensor, ...]]
    learns: str = ""
    verbs: dict[str, tuple] | None = None
    frozen: tuple[str, ...] = ()


def images(size: int, channels: int = 1, n: int = 16, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Images in [0, 1] whose class is the brightest quarter."""
    y = torch.arange(n) % classes
    x = 0.3 * torch.rand(n, channels, size, size)
    half = size // 2
    for i, label in enumerate(y.tolist()):
        x[i, :, half * (label // 2) : half * (label // 2 + 1), half * (label % 2) : half * (label % 2 + 1)] += 0.6
    return x, y


def flat(*dims: int) -> nn.Sequential:
    """A perceptron on images."""
    return nn.Sequential(nn.Flatten(), mlp(*dims))


def levels(n: int = 16) -> tuple[Tensor]:
    """8x8 images of four levels."""
    return ((images(8, n=n)[0] * 3).round() / 3,)


def boxed(size: int = 32, n: int = 6, classes: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Images with one or two bright squares, whose class is their brightness; a place for a third is empty."""
    x, boxes, labels = 0.1 * torch.rand(n, 1, size, size), torch.zeros(n, 3, 4), torch.full((n, 3), -1)
    for i in range(n):
        for j in range(1 + i % 2):
            left, top, side = (5 * i) % 6 + 14 * j, (7 * i) % 14, 8 + 2 * (i % 3)
            labels[i, j], boxes[i, j] = (i + j) % classes, torch.tensor([left, top, left + side, top + side]).float()
            x[i, :, top : top + side, left : left + side] += 0.25 * (1 + labels[i, j])
    return x.clamp(0, 1), boxes, labels


def with_proposals() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same, with proposals near the objects and elsewhere."""
    x, boxes, labels = boxed()
    near = boxes + torch.tensor([-1.0, 1.0, 1.0, 2.0]) * (labels >= 0)[..., None]
    far = torch.tensor([[0.0, 0.0, 6.0, 6.0], [20.0, 20.0, 31.0, 30.0], [4.0, 18.0, 30.0, 31.0]]).expand(len(x), -1, -1)
    return x, boxes, labels, torch.cat([near, far], 1)
