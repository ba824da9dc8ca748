"""A blur that only evaluation sees, for nets that were trained on distorted images.

    y = k * x along the columns, then along the rows,     k = (v / 2, 1 - v, v / 2), of variance v squared pixels

A bilinear distortion reads each pixel at an offset f between two, (1 - f) x_i + f x_{i+1}, which is a blur of variance f (1 - f): 1/6 in the mean
over f ~ U[0, 1]. A net that saw such images alone takes sharp ones for something else; blurred as much, they are what it knows.
B batch, C channels, H x W pixels.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class EvalBlur(nn.Module):
    """Identity in training, the blur in evaluation.

    Args:
        variance: v, along each axis: 1/6 for every bilinear distortion that an image has gone through, in the mean.

    Raises:
        ValueError: a variance outside [0, 1/2], above which the kernel is no low-pass.
    """

    def __init__(self, variance: float = 1 / 6):
        super().__init__()
        if not 0 <= variance <= 0.5:
            raise ValueError(f"expected a variance in [0, 1/2] squared pixels, got {variance}")
        self.variance = variance

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return x if self.training else self.blurred(self.blurred(x).mT).mT

    def blurred(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Along the last axis; the border is repeated."""
        wide = F.pad(x, (1, 1, 0, 0), mode="replicate")
        return (1 - self.variance) * x + self.variance / 2 * (wide[..., :-2] + wide[..., 2:])
