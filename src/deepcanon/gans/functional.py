"""What every adversarial network asks of its batch. Images, of shape (C, H, W), lie in [0, 1], points of any other shape anywhere.

B batch, D shape of a data point.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from deepcanon.layers.checks import classes, finite, unit


def check(x: Float[Tensor, "B ..."], fake: Float[Tensor, "B ..."]) -> Tensor:
    """The data x, validated: of the shape of the generated points, images within [0, 1].

    Raises:
        ValueError: another shape than the generator's points, images outside [0, 1].
    """
    if x.shape != fake.shape:
        raise ValueError(f"expected data of the shape that the generator makes, {tuple(fake.shape[1:])}, got {tuple(x.shape[1:])}")
    return unit(x) if x.ndim == 4 else finite(x)


def each_in_turn(n: int, y: Int[Tensor, "N"] | None, num_classes: int, like: Tensor) -> Int[Tensor, "n"]:
    """The classes of n samples: those given or, if none are, all in turn.

    Raises:
        ValueError: not n of them, or some outside 0 ... K - 1.
    """
    return torch.arange(n, device=like.device) % num_classes if y is None else classes(y, num_classes, n)


def labels(batch, num_classes: int) -> Int[Tensor, "B"]:
    """The classes of a batch (x, y).

    Raises:
        ValueError: no labels, not one for each example, or some outside 0 ... K - 1.
    """
    if len(batch) < 2:
        raise ValueError("a conditional model is trained on batches (x, y): the labels y are missing")
    return classes(batch[1], num_classes, len(batch[0]))
