"""MADE: a perceptron whose outputs see only the inputs before them (Germain et al. 2015, arXiv 1502.03509).

    h_0 = x,    h_l = act((W_l * M_l) h_{l-1} + b_l),    y_i = (W * M) h_L + b        y_i a function of x_1 .. x_{i-1}
    with a context c:    b_l + U_l c in place of b_l, in every layer: all outputs see it, the first one as well

Every unit has a degree: input i has i, hidden units have 1 .. D - 1, outputs of dimension i have i. M joins a unit to those of the layer before
whose degree is at most its own (below its own, for outputs). Hidden units are sorted by degree, so that those which see x_1 .. x_i are the first
ones of every layer: `unroll` computes each unit once while the numbers of x become known one by one.
B batch, D numbers, P parameters for each, H hidden units, n samples.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from deepcanon.layers.linear_map import Linear, linear
from deepcanon.layers.modes import evaluating


class MADE(nn.Module):
    """Several parameters for each number, from the numbers before it.

    Args:
        dim: D.
        hidden: widths of the hidden layers.
        num_params: P.
        activation: makes what follows every layer but the last.
        context_dim: numbers of the context; 0 for none.
    """

    def __init__(self, dim: int, hidden: Sequence[int] = (128, 128), *, num_params: int = 1,
                 activation: Callable[[], nn.Module] = nn.ReLU, context_dim: int = 0):
        super().__init__()
        if dim < 1 or num_params < 1 or not hidden or min(hidden) < 1:
            raise ValueError(f"expected one number, parameter and hidden layer or more, got {dim}, {num_params} and {tuple(hidden)}")
        if context_dim < 0:
            raise ValueError(f"expected a context of 0 numbers or more, got {context_dim}")
        self.dim, self.num_params, self.activation, self.context_dim = dim, num_params, activation(), context_dim
        inputs = torch.arange(1, dim + 1)
        self.degrees = [inputs, *(hidden_degrees(width, dim) for width in hidden)]
        self.layers = nn.ModuleList(MaskedLinear(later[:, None] >= earlier) for earlier, later in pairwise(self.degrees))
        self.output = MaskedLinear(inputs.repeat(num_params)[:, None] > self.degrees[-1])
        widths = [*hidden, num_params * dim] if context_dim else []
        self.context_layers = nn.ModuleList(Linear(context_dim, width, bias=False) for width in widths)                 # U_1, U_2, ...

    def forward(self, x: Float[Tensor, "B D"], context: Float[Tensor, "B K"] | None = None) -> Float[Tensor, "B P D"]:
        """Raises ValueError for rows, or a context, of another width."""
        if x.shape[1] != self.dim:
            raise ValueError(f"expected rows of {self.dim} numbers, got {tuple(x.shape)}")
        shifts = self.shifts(context, len(x))
        for layer, shift in zip(self.layers, shifts):
            x = self.activation(layer(x) + shift)
        return (self.output(x) + shifts[-1]).unflatten(1, (self.num_params, self.dim))

    def shifts(self, context: Float[Tensor, "B K"] | None, rows: int) -> list:
        """U_l c of every layer; 0 without a context."""
        if self.context_dim == 0 and context is None:
            return [0.0] * (len(self.layers) + 1)
        given = "none" if context is None else f"{tuple(context.shape)}"
        if context is None or context.shape != (rows, self.context_dim):
            raise ValueError(f"expected a context of shape {(rows, self.context_dim)}, got {given}")
        return [layer(context) for layer in self.context_layers]

    def unroll(self, n: int, context: Float[Tensor, "n K"] | None = None) -> "Unrolled":
        """The net for n rows whose numbers become known one by one; without gradients."""
        return Unrolled(self, n, context)


class MaskedLinear(Linear):
    """y = (W * M) x + b.

    Args:
        mask: M, (outputs, inputs).
    """

    mask: Tensor

    def __init__(self, mask: Bool[Tensor, "O I"]):
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.to(self.weight), persistent=False)

    def forward(self, x: Float[Tensor, "B I"]) -> Float[Tensor, "B O"]:
        return linear(x, self.weight * self.mask, self.bias)


class Unrolled:
    """A MADE evaluated one number at a time, in `torch.inference_mode()`: `known[i]` is to be filled after `params(i)`, for i = 0, 1, ...

    Every layer's units stand below a constant one and the context, which the biases and the U are weights of. What each
    number needs of the weights and units is cut out beforehand; then a number costs a handful of small products.

    Args:
        net: the MADE; its weights are read once.
        n: rows.
        context: of each row, where the net takes one.
    """

    @torch.inference_mode()
    def __init__(self, net: MADE, n: int, context: Float[Tensor, "n K"] | None = None):
        net.shifts(context, n)                                                                                # of the right shape
        start = 1 + net.context_dim                                                                           # the one and the context
        counts = [torch.bincount(degree, minlength=net.dim + 1) for degree in net.degrees]                    # [i]: units of degree i
        layers = cast(list[MaskedLinear], [*net.layers, net.output])
        columns: list = [u.weight for u in net.context_layers] or [layer.bias.new_empty(len(layer.bias), 0) for layer in layers]
        weights = [torch.cat([layer.bias[:, None], u, layer.weight * layer.mask], 1) for layer, u in zip(layers, columns)]
        units = [weight.new_ones(weight.shape[1], n) for weight in weights]                                   # (1 + K + H, n): a unit a row
        if context is not None:
            for below in units:
                below[1:start] = context.T
        seen = [[below.narrow(0, 0, end) for end in (start + count.cumsum(0)).tolist()]                       # by x_1 .. x_i
                for below, count in zip(units, counts)]
        self.known, self.activate = units[0][start:], net.activation.forward
        self.all_params = weights[-1].new_empty(net.dim, net.num_params, n)
        self.hidden: list[list[tuple[Tensor, Tensor, Tensor]]] = [[] for _ in range(net.dim)]
        for weight, below, above, count in zip(weights, seen, units[1:], counts[1:]):
            for of_number, rows, inputs, new in zip(self.hidden, weight.split(count.tolist()), below, above[start:].split(count.tolist())):
                if len(new):
                    of_number.append((rows.narrow(1, 0, len(inputs)), inputs, new))
        rows = weights[-1].unflatten(0, (net.num_params, net.dim)).unbind(1)
        self.output = [(row.narrow(1, 0, len(inputs)), inputs, out) for row, inputs, out in zip(rows, seen[-1], self.all_params.unbind())]

    def params(self, i: int) -> Float[Tensor, "P n"]:
        """The parameters of number i, once 0 .. i - 1 are known: only the hidden units that have waited for i - 1 are computed."""
        for weight, inputs, new in self.hidden[i]:
            new.copy_(self.activate(torch.mm(weight, inputs)))
        weight, inputs, params = self.output[i]
        return torch.mm(weight, inputs, out=params)

    def values(self) -> Float[Tensor, "n D"]:
        """All numbers once they are known, a row each; outside of inference mode they may be trained on."""
        return self.known.T.clone(memory_format=torch.contiguous_format)


def hidden_degrees(width: int, dim: int) -> Int[Tensor, "H"]:
    """Degrees 1 .. D - 1 in equal shares, sorted."""
    return 1 + torch.arange(width) * max(dim - 1, 1) // width


@torch.no_grad()
def check_causal(net: nn.Module, dim: int) -> None:
    """Raises ValueError if an output of number i changes with number j >= i; each number is moved once, all in one pass through the net.

    Args:
        net: (B, D) -> (B, P, D).
        dim: D.
    """
    like = next(net.parameters())
    x = torch.linspace(-1, 1, dim).to(like).repeat(dim + 1, 1)                   # (D + 1, D), the last row unmoved
    x[:dim].diagonal().add_(2)
    context = [x.new_zeros(len(x), width)] if (width := getattr(net, "context_dim", 0)) else []
    with evaluating(net):
        y = net(x, *context)
    if y.shape[0] != dim + 1 or y.shape[2:] != (dim,):
        raise ValueError(f"expected an output (B, P, {dim}), got (B, {', '.join(map(str, y.shape[1:]))})")
    changed = (y[:dim] - y[dim]).abs().amax(1).tril() > 1e-5 * y.abs().max()     # (moved, output), above rounding
    if changed.any():
        j, i = changed.nonzero()[0].tolist()
        raise ValueError(f"the net is not autoregressive: its output of number {i} changes with number {j}")
