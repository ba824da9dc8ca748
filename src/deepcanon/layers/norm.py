"""Normalisation layers that torch does not have.

    standardize(x)_c = (x_c - mean_c) / std_c          fixed constants a channel, measured on the training set

B batch, C channels, H x W pixels.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Standardize(nn.Module):
    """Takes images in [0, 1] to mean 0 and deviation 1, so that the zeros of padding are the average intensity.

    The constants are buffers: they travel with the weights, and a saved net reads raw images.

    Args:
        mean: one value, or one a channel.
        std: likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: float | Sequence[float] = 0.5, std: float | Sequence[float] = 0.25):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return (x - self.mean) / self.std
