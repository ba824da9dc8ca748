"""Several critics as one: K perceptrons Q_k(s, a), computed as batched products (clipped double Q: Fujimoto
et al. 2018, arXiv 1802.09477).

    h_0 = (s, a),    h_i = relu(h_{i-1} W_{k,i} + b_{k,i})  for i < L,    Q_k = h_{L-1} W_{k,L} + b_{k,L}

B batch, S and A widths of observations and actions, K critics, I and O widths of a layer.
"""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Critics(nn.Module):
    """K nets of an observation and an action, each as `mlp(S + A, *hidden, 1)` with its own random weights.

    Args:
        dims: S, A, and the hidden widths.
        count: K.
    """

    def __init__(self, *dims: int, count: int = 2):
        super().__init__()
        observed, acted, *hidden = dims
        widths = list(pairwise([observed + acted, *hidden, 1]))
        self.weights = nn.ParameterList(uniform(i, count, i, o) for i, o in widths)
        self.biases = nn.ParameterList(uniform(i, count, 1, o) for i, o in widths)

    def forward(self, s: Float[Tensor, "B S"], a: Float[Tensor, "B A"]) -> Float[Tensor, "K B"]:
        first, *rest = zip(self.weights, self.biases)
        h = torch.baddbmm(
            first[1], torch.cat([s, a], -1).expand(len(first[0]), -1, -1), first[0]
        )  # (K, B, O)
        for weight, bias in rest:
            h = torch.baddbmm(bias, h.relu(), weight)
        return h.squeeze(-1)


def uniform(fan_in: int, *shape: int) -> nn.Parameter:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as torch initialises linear layers."""
    return nn.Parameter(torch.empty(shape).uniform_(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in)))
