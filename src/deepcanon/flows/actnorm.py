"""Activation normalisation (Kingma & Dhariwal 2018, arXiv 1807.03039, section 3.1).

    z = exp(s) (x + b),      log|det| = H W sum s,      s and b one a channel

The first batch of training sets them: b = -mean, s = -log std of each channel; from then on they are learned as
any weights. Unlike batch normalisation it treats each example by itself.
B batch, C channels, D other dimensions.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.flows.flow import Mapped
from deepcanon.layers.joint import batch_moments


class ActNorm(nn.Module):
    """Every channel shifted and scaled.

    Args:
        channels: C.
        eps: added to the standard deviation of the first batch.
    """

    started: Tensor

    def __init__(self, channels: int, *, eps: float = 1e-3):
        super().__init__()
        self.eps = eps
        self.s, self.b = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("started", torch.tensor(False))                     # part of the weights: a run that goes on does not start anew

    def forward(self, x: Float[Tensor, "B C *D"]) -> Mapped:
        if self.training and not self.started:
            self.start(x)
        return (x + self.each(self.b, x)) * self.each(self.s, x).exp(), self.log_det(x)

    def inverse(self, z: Float[Tensor, "B C *D"]) -> Mapped:
        return z * torch.exp(-self.each(self.s, z)) - self.each(self.b, z), -self.log_det(z)

    @torch.no_grad()
    def start(self, x: Float[Tensor, "B C *D"]) -> None:
        """Sets s and b so that this batch leaves with mean 0 and variance 1 a channel. Raises ValueError for one value."""
        mean, variance, count = batch_moments(x.transpose(0, 1).flatten(1))      # of (C, values of a channel)
        if count < 2:
            raise ValueError(f"the first batch sets the scales: expected two values a channel or more, got {tuple(x.shape)}")
        self.b.copy_(-mean)
        self.s.copy_(-torch.log(variance.sqrt() + self.eps))
        self.started.fill_(True)

    def each(self, values: Float[Tensor, "C"], x: Tensor) -> Tensor:
        """One value a channel, beside the other dimensions."""
        return values.view(-1, *[1] * (x.ndim - 2))

    def log_det(self, x: Float[Tensor, "B C *D"]) -> Float[Tensor, "B"]:
        """H W sum s, for each example."""
        return (x[0, 0].numel() * self.s.sum()).expand(len(x))
