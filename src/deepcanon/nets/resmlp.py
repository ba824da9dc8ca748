"""Residual perceptron over time: a denoiser of small pictures made of matrix products alone (after He et al. 2016, arXiv 1512.03385, and the
time features of Ho et al. 2020, arXiv 2006.11239).

    h_0 = W x,    h_i = h_{i-1} + B_i silu(A_i norm(h_{i-1}) + C_i tau(t)),    y = V norm(h_L)

A condition c, of a class or a caption, adds U c to tau(t). B_i and V start at zero, so that the net starts as the constant zero. Where
convolutions are slow, on a small CPU, it sees many more pictures a second.
B batch, D shape of a picture.
"""

import math

import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.layers.linear_map import Linear
from deepcanon.nets.unet import TimeEmbedding, TimeFeatures


class ResidualMLP(nn.Module):
    """A picture-shaped answer for a noisy picture x and its time t.

    Args:
        shape: D.
        width: of h.
        num_layers: L.
        time_dim: of tau.
        condition_dim: of c, for a net that takes one.
    """

    def __init__(self, shape: tuple[int, ...], *, width: int = 1024, num_layers: int = 3, time_dim: int = 256, condition_dim: int | None = None):
        super().__init__()
        self.shape, pixels = shape, math.prod(shape)
        layers = Linear(time_dim, time_dim), nn.SiLU(), Linear(time_dim, time_dim), nn.SiLU()
        self.time = TimeEmbedding(TimeFeatures(time_dim), *layers)
        self.enter = Linear(pixels, width)
        self.layers = nn.ModuleList(Layer(width, time_dim) for _ in range(num_layers))
        self.leave = nn.Sequential(nn.LayerNorm(width), zeros(Linear(width, pixels)))
        self.condition = Linear(condition_dim, time_dim, bias=False) if condition_dim else None

    def forward(self, x: Float[Tensor, "B *D"], t: Shaped[Tensor, "B"], c: Float[Tensor, "B C"] | None = None) -> Float[Tensor, "B *D"]:
        if x.shape[1:] != self.shape:
            raise ValueError(f"expected pictures (B, {', '.join(map(str, self.shape))}), got {tuple(x.shape)}")
        if (c is None) != (self.condition is None):
            raise ValueError("expected a condition" if c is None else "this net takes no condition: build it with condition_dim")
        time, h = self.time(t), self.enter(x.flatten(1))
        if self.condition is not None:
            time = time + self.condition(c)
        for layer in self.layers:
            h = layer(h, time)
        return self.leave(h).unflatten(1, self.shape)


class Layer(nn.Module):
    """One residual layer conditioned on the time."""

    def __init__(self, width: int, time_dim: int):
        super().__init__()
        self.norm, self.c = nn.LayerNorm(width), Linear(time_dim, width, bias=False)
        self.a, self.b = Linear(width, width), zeros(Linear(width, width))

    def forward(self, h: Float[Tensor, "B W"], time: Float[Tensor, "B T"]) -> Float[Tensor, "B W"]:
        return h + self.b(F.silu(self.a(self.norm(h)) + self.c(time)))


def zeros(layer: nn.Module) -> nn.Module:
    """The layer with all parameters zero."""
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer
