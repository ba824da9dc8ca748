"""Dropout (Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting").

    d_i ~ Bernoulli(1 - p),  p the probability to drop
    inverted             training  d x / (1 - p),    use  x
    scaled in use        training  d x,              use  (1 - p) x

In both the mean of what is seen in training is what is seen in use.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Dropout(nn.Module):
    """Elements set to zero at random, in training only.

    Args:
        p: probability to drop, in [0, 1).
        inverted: scale in training, as torch does; otherwise in use, as the paper does.
    """

    def __init__(self, p: float = 0.5, *, inverted: bool = True):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"expected a probability to drop in [0, 1), got {p}")
        self.p, self.inverted = p, inverted

    def forward(self, x: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        keep = 1 - self.p
        if not self.training:
            return x if self.inverted else keep * x
        d = torch.empty_like(x).bernoulli_(keep)
        return d * x / keep if self.inverted else d * x
