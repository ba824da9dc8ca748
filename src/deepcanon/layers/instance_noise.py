"""Instance noise (Sonderby, Caballero, Theis, Shi & Huszar 2017, arXiv 1610.04490): noise on whatever a discriminator is shown.

    y = x + sigma eps,    eps ~ N(0, I)

Two distributions that do not overlap, whose Jensen-Shannon divergence is log 2 wherever they are, overlap after it, and its gradient pulls.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.precision import Float32Buffers


class InstanceNoise(Float32Buffers, nn.Module):
    """The first layer of a discriminator; it adds noise in training only.

    Args:
        sigma: the deviation at the start.
        decay: its factor after each training step, by `fade`, however often the layer is called in it.
    """

    sigma: Tensor

    def __init__(self, sigma: float = 0.1, *, decay: float = 1.0):
        super().__init__()
        self.decay = decay
        self.register_buffer("sigma", torch.tensor(sigma))

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        if not self.training:
            return x
        return x + self.sigma * torch.randn_like(x)


def fade(net: nn.Module) -> None:
    """One step is over: the noise layers of the net decay."""
    for layer in net.modules():
        if isinstance(layer, InstanceNoise):
            layer.sigma = layer.sigma * layer.decay
