"""Virtual batch normalisation (Salimans et al. 2016, arXiv 1606.03498): statistics of one batch that is chosen once.

    y = gamma (a - mu) / sqrt(var + eps) + beta,     mu, var of each channel over the reference batch and its places

So an example's output does not depend on the others of its batch. The reference goes through the same layers with the same weights: the net is
run on (reference; x), and every layer takes its statistics from the first R rows.
R rows of the reference, B batch, C channels.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.norm import moments, standard


class VirtualBatchNorm(nn.Module):
    """Inside `WithReference`: normalises all rows by the statistics of the first ones.

    Args:
        num_channels: C.
        num_reference: R.
        eps: added to the variance.

    Raises:
        ValueError: fewer rows than the reference has.
    """

    def __init__(self, num_channels: int, num_reference: int, *, eps: float = 1e-5):
        super().__init__()
        self.num_reference, self.eps = num_reference, eps
        self.weight, self.bias = nn.Parameter(torch.ones(num_channels)), nn.Parameter(torch.zeros(num_channels))

    def forward(self, a: Float[Tensor, "B C *places"]) -> Float[Tensor, "B C *places"]:
        if len(a) < self.num_reference:
            raise ValueError(f"expected the {self.num_reference} rows of the reference and those of the batch, got {len(a)} in all")
        each = (-1, *[1] * (a.ndim - 2))
        mu, var = moments(a[: self.num_reference], [i for i in range(a.ndim) if i != 1])
        return standard(a, mu, var, self.eps) * self.weight.view(each) + self.bias.view(each)


class WithReference(nn.Module):
    """A net that is always run on its reference batch too.

    Args:
        net: with `VirtualBatchNorm` layers, without any other that mixes examples.
        reference: (R, ...), inputs of the net; a buffer, which travels with the weights.
    """

    reference: Tensor

    def __init__(self, net: nn.Module, reference: Float[Tensor, "R ..."]):
        super().__init__()
        self.net = net
        self.register_buffer("reference", reference)

    def forward(self, x: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        return self.net(torch.cat([self.reference, x]))[len(self.reference) :]
