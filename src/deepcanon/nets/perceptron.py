"""Multilayer perceptron (Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors").

    h_0 = x,    h_i = act(W_i h_{i-1} + b_i)  for i < L,    y = W_L h_{L-1} + b_L

With a `norm`, h_i = act(norm(W_i h_{i-1})): what is shifted by the normalisation needs no b_i.
"""

from collections.abc import Callable
from itertools import pairwise

from torch import nn

from deepcanon.layers.linear_map import Linear


def mlp(*dims: int, activation: Callable[[], nn.Module] = nn.ReLU, norm: Callable[[int], nn.Module] | None = None) -> nn.Sequential:
    """Linear layers of widths `dims`, (..., dims[0]) -> (..., dims[-1]), an activation between each two.

    Args:
        dims: input width, hidden widths, output width; two or more.
        activation: makes the module that follows every layer but the last.
        norm: of the hidden layers, e.g. `nn.BatchNorm1d`.

    Raises:
        ValueError: fewer than two widths.
    """
    if len(dims) < 2:
        raise ValueError(f"expected an input and an output width, got {dims}")
    net = nn.Sequential()
    for d_in, d_out in pairwise(dims[:-1]):
        net.extend([Linear(d_in, d_out)] if norm is None else [Linear(d_in, d_out, bias=False), norm(d_out)])
        net.append(activation())
    return net.append(Linear(dims[-2], dims[-1]))
