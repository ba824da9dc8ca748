"""Minibatch discrimination (Salimans et al. 2016, arXiv 1606.03498): a discriminator that sees how alike the examples of a batch are.

    M_i = T f_i  (B x C),     o_ib = sum_j exp(-||M_ib - M_jb||_1)  over the N examples j,     output (f_i, o_i)

A batch of equal examples gives o = N, the most there is, so that a collapsed generator is found out.
N batch, F features, B kernels, C numbers each.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.joint import batch_rows
from deepcanon.layers.linear_map import Linear


class MinibatchDiscrimination(nn.Module):
    """Features (N, F) -> (N, F + B).

    Args:
        num_features: F.
        num_kernels: B.
        kernel_dim: C.
    """

    def __init__(self, num_features: int, num_kernels: int = 16, kernel_dim: int = 4):
        super().__init__()
        self.kernels = num_kernels
        self.project = Linear(num_features, num_kernels * kernel_dim, bias=False)

    def forward(self, f: Float[Tensor, "N F"]) -> Float[Tensor, "N G"]:
        return torch.cat([f, self.similarity(f)], 1)

    def similarity(self, f: Float[Tensor, "N F"]) -> Float[Tensor, "N B"]:
        """o."""
        m = self.project(f).unflatten(1, (self.kernels, -1))                     # (N, B, C)
        rows, _ = batch_rows(m)                                                  # those of the whole batch
        return (-(rows.unsqueeze(0) - m.unsqueeze(1)).abs().sum(-1)).exp().sum(1)
