"""Inverse autoregressive flow (Kingma et al. 2016, arXiv 1606.04934).

    x_i = z_i exp(-alpha_i(z_{<i})) - m_i(z_{<i}),      log|det dx/dz| = -sum_i alpha_i            one pass through the net
    z_i = (x_i + m_i(z_{<i})) exp(alpha_i(z_{<i}))                                                 D passes, one after the other

The autoregressive flow of the same net, turned around: sampling is the fast direction, and a sample's own density comes with it for nothing.
B batch, D numbers.
"""

import math

from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.flows.flow import Chain, Context, Flow, Mapped, Reverse
from deepcanon.flows.functional import standard_normal
from deepcanon.flows.maf_flow import MaskedAutoregressive
from deepcanon.nets.made import MADE


class InverseAutoregressive(nn.Module):
    """Each number of the noise shifted and scaled by functions of those before it.

    Args:
        net: (B, D) -> (B, 2, D), m and alpha, autoregressive: a `MADE` of two parameters.
        dim: D.
        bound: of |alpha|.

    Raises:
        ValueError: the net lets a parameter see its own number or a later one.
    """

    takes_context = True

    def __init__(self, net: nn.Module, dim: int, *, bound: float = math.inf):
        super().__init__()
        self.autoregressive = MaskedAutoregressive(net, dim, bound=bound)

    def forward(self, x: Float[Tensor, "B D"], context: Context = None) -> Mapped:
        return self.autoregressive.inverse(x, context)

    def inverse(self, z: Float[Tensor, "B D"], context: Context = None) -> Mapped:
        return self.autoregressive(z, context)


def draw(flow: Flow, n: int) -> tuple[Float[Tensor, "n *D"], Float[Tensor, "n"]]:
    """n data points with log p of each, in nats, from one pass z -> x; gradients pass through both."""
    z = flow.noise(n)
    x, log_det = flow.transform.inverse(z)
    return x, standard_normal(z) - log_det


def iaf(dim: int, *, hidden: tuple[int, ...] = (128, 128), num_layers: int = 5, bound: float = 6.9,
        context_dim: int = 0) -> Chain:
    """IAF on vectors: layers as of `maf`, turned around."""
    layers: list[nn.Module] = []
    for _ in range(num_layers):
        layers += [InverseAutoregressive(MADE(dim, hidden, num_params=2, context_dim=context_dim), dim, bound=bound), Reverse()]
    return Chain(*layers[:-1])
