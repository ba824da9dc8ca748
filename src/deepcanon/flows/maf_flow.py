"""Masked autoregressive flow (Papamakarios, Pavlakou & Murray 2017, arXiv 1705.07057).

    z_i = x_i exp(-alpha_i(x_{<i})) - m_i(x_{<i}),      log|det dz/dx| = -sum_i alpha_i            one pass through the net
    x_i = (z_i + m_i(x_{<i})) exp(alpha_i(x_{<i}))                                                 D passes, one after the other

The paper's mean is mu = m exp(alpha); a net that gives m learns faster. The Jacobian is triangular. alpha may be bent to stay
within a bound, alpha / (1 + |alpha| / bound), so that exp(-alpha) cannot overflow far from the data. `unrolled_inverse`
computes every unit of a MADE once, hence costs as much as one pass.
B batch, D numbers.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.flows.flow import Chain, Context, Mapped, Reverse, answer
from deepcanon.flows.functional import soft_clipped
from deepcanon.layers.checks import shaped
from deepcanon.nets.made import MADE, Unrolled, check_causal


class MaskedAutoregressive(nn.Module):
    """Each number shifted and scaled by functions of those before it.

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
        check_causal(net, dim)
        self.net, self.dim, self.bound = net, dim, bound

    def forward(self, x: Float[Tensor, "B D"], context: Context = None) -> Mapped:
        """Raises ValueError for data of another width."""
        m, alpha = answer(self.net, shaped(x, (self.dim,)), context).unbind(1)                                         # (B, D) each
        alpha = soft_clipped(alpha, self.bound)
        return x * torch.exp(-alpha) - m, -alpha.sum(1)

    def inverse(self, z: Float[Tensor, "B D"], context: Context = None) -> Mapped:
        """The slow direction: unrolled where no gradient is asked for. Raises ValueError for data of another width."""
        shaped(z, (self.dim,))
        if isinstance(self.net, MADE) and not torch.is_grad_enabled():
            return unrolled_inverse(self.net.unroll(len(z), context), z, self.bound)
        return plain_inverse(self.net, z, self.bound, context)


def plain_inverse(net: nn.Module, z: Float[Tensor, "B D"], bound: float = math.inf, context: Context = None) -> Mapped:
    """One whole pass through the net for each number; it passes gradients."""
    dim = z.shape[1]
    x, alphas = z.new_zeros(len(z), 0), []
    for i in range(dim):
        m, alpha = answer(net, nn.functional.pad(x, (0, dim - i)), context)[..., i].unbind(1)          # (B,) each
        alpha = soft_clipped(alpha, bound)
        x = torch.cat([x, ((z[:, i] + m) * alpha.exp()).unsqueeze(1)], 1)
        alphas.append(alpha)
    return x, torch.stack(alphas).sum(0)


def unrolled_inverse(net: Unrolled, z: Float[Tensor, "B D"], bound: float = math.inf) -> Mapped:
    """The same numbers, every unit of the net computed once."""
    with torch.inference_mode():
        m, alpha = net.all_params.unbind(1)                                      # (D, n) each
        for i, (z_i, x_i, m_i, alpha_i) in enumerate(zip(z.T.contiguous(), net.known, m, alpha)):
            net.params(i)
            torch.mul(z_i + m_i, soft_clipped(alpha_i, bound).exp(), out=x_i)
    return net.values(), soft_clipped(alpha, bound).sum(0)


def maf(dim: int, *, hidden: tuple[int, ...] = (128, 128), num_layers: int = 5, bound: float = 6.9,
        context_dim: int = 0) -> Chain:
    """MAF on vectors: autoregressive layers, the order of the numbers turned around between each two."""
    layers: list[nn.Module] = []
    for _ in range(num_layers):
        layers += [MaskedAutoregressive(MADE(dim, hidden, num_params=2, context_dim=context_dim), dim, bound=bound), Reverse()]
    return Chain(*layers[:-1])
