"""NICE: non-linear independent components estimation (Dinh, Krueger & Bengio 2015, arXiv 1410.8516).

    z_a = x_a,   z_b = x_b + m(x_a)           x_b = z_b - m(z_a)           log|det| = 0           additive coupling
    z = exp(s) x                              x = exp(-s) z                log|det| = sum s       the last layer

m is any net, invertible or not. Couplings alone preserve volume: only the last layer changes the scale of a direction.
B batch, C channels (of a vector: its numbers), D other dimensions.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.flows.flow import Chain, Context, Mapped, answer
from deepcanon.flows.functional import half_sizes, halves, joined, unchanged
from deepcanon.layers.checks import shaped
from deepcanon.nets.conditioning import conditioned
from deepcanon.nets.perceptron import mlp


class AdditiveCoupling(nn.Module):
    """One half of the channels shifted by a function of the other.

    Args:
        net: m, kept half -> shift of the other.
        swap: keep the second half in place of the first.
    """

    takes_context = True

    def __init__(self, net: nn.Module, *, swap: bool = False):
        super().__init__()
        self.net, self.swap = net, swap

    def forward(self, x: Float[Tensor, "B C *D"], context: Context = None) -> Mapped:
        a, b = halves(x, self.swap)
        return joined(a, b + shaped(answer(self.net, a, context), b.shape[1:]), self.swap), unchanged(x)

    def inverse(self, z: Float[Tensor, "B C *D"], context: Context = None) -> Mapped:
        a, b = halves(z, self.swap)
        return joined(a, b - shaped(answer(self.net, a, context), b.shape[1:]), self.swap), unchanged(z)


class Scaling(nn.Module):
    """Every dimension by a factor of its own.

    Args:
        shape: of a data point.
    """

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.s = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Float[Tensor, "B *D"]) -> Mapped:
        return self.s.exp() * shaped(x, self.s.shape), self.s.sum().expand(len(x))

    def inverse(self, z: Float[Tensor, "B *D"]) -> Mapped:
        return (-self.s).exp() * shaped(z, self.s.shape), -self.s.sum().expand(len(z))


def nice(dim: int, *, hidden: tuple[int, ...] = (256, 256), num_layers: int = 4, scaling: bool = True,
         context_dim: int = 0) -> Chain:
    """NICE on vectors: couplings that take turns in which half they keep, then the scaling; with a context the couplings get it.

    Raises:
        ValueError: fewer than two dimensions.
    """
    layers: list[nn.Module] = []
    for k in range(num_layers):
        kept, changed = half_sizes(dim, swap := k % 2 == 1)
        layers.append(AdditiveCoupling(conditioned(lambda n, out=changed: mlp(n, *hidden, out), kept, context_dim), swap=swap))
    return Chain(*layers, *([Scaling((dim,))] if scaling else []))
