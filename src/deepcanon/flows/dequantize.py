"""Dequantisation: a density as a model of discrete levels (Uria et al. 2013; Theis et al. 2016, arXiv 1511.01844; Ho et al. 2019, arXiv 1902.00275).

    P(v) = integral over [0, 1)^D of p((v + n) / K) dn / K^D                    v in {0, .., K - 1}^D, p a density of a flow on [0, 1)^D
    log P(v) >= E_{q(n|v)}[log p((v + n) / K) - log q(n|v)] - D log K           q uniform, log q = 0, or a flow of its own

    bits/dim = -log_2 P(v) / D       a bound, tight when q(n|v) is p's own conditional density; with the uniform q at best the entropy of the noise

Images come as v / (K - 1) in [0, 1]. With several draws the bound is importance weighted, and tighter.
B batch, D shape of a data point of D numbers, K levels, n noise (or number of samples), S draws.
"""

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.flows.flow import Chain, Flow
from deepcanon.flows.functional import standard_normal, unchanged
from deepcanon.flows.realnvp_flow import MaskedCoupling, checkerboard
from deepcanon.layers.checks import on_levels
from deepcanon.layers.contract import checked
from deepcanon.nets.coupling import coupling_net


@runtime_checkable
class Noise(Protocol):
    """Draws n ~ q(n|x), each number in (0, 1), and gives log q(n|x) in nats."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]: ...


@checked
class Dequantized(nn.Module):
    """Discrete images under a flow.

    Args:
        flow: a density over numbers in (0, 1); a `Logit` may come first.
        noise: q.
        levels: K, 256 for 8 bits.
    """

    likelihood_is = "bound"

    def __init__(self, flow: Flow, noise: Noise, *, levels: int = 256):
        super().__init__()
        if levels < 2:
            raise ValueError(f"expected 2 levels or more, got {levels}")
        self.flow, self.noise, self.levels = flow, noise, levels

    def loss(self, batch) -> Float[Tensor, ""]:
        """The bound on bits a number, mean of the batch."""
        return self.bits_per_dim(batch[0], context=self.context_of(batch)).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        return {"bits_per_dim": self.bits_per_dim(batch[0], context=self.context_of(batch))}

    def context_of(self, batch) -> Tensor | None:
        """The contexts or labels of a batch, for a flow that takes them."""
        return batch[1] if self.flow.context_dim else None

    def bits_per_dim(self, x: Float[Tensor, "B *D"], samples: int = 1, context: Tensor | None = None) -> Float[Tensor, "B"]:
        """Upper bound (on average) on -log_2 P(v) / D; tighter with more samples. It passes gradients."""
        return -self.log_prob(x, samples, context) / (x[0].numel() * math.log(2))

    def log_prob(self, x: Float[Tensor, "B *D"], samples: int = 1, context: Tensor | None = None) -> Float[Tensor, "B"]:
        """Importance-weighted lower bound (on average) on log P(v) in nats, S = samples: log 1/S sum_s p(u_s) / q(u_s). It passes gradients.

        Raises:
            ValueError: values outside [0, 1] or between the levels.
        """
        v = self.level(x)
        bounds = torch.stack([self.bound(x, v, context) for _ in range(samples)])
        return bounds.logsumexp(0) - math.log(samples)

    def bound(self, x: Float[Tensor, "B *D"], v: Float[Tensor, "B *D"], context: Tensor | None = None) -> Float[Tensor, "B"]:
        """log p(u) - log q(u) at one draw."""
        n, log_q = self.noise(x)
        return self.flow.log_prob((v + n) / self.levels, context) - log_q - x[0].numel() * math.log(self.levels)

    def level(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
        """v."""
        return (on_levels(x, self.levels) * (self.levels - 1)).round()

    @torch.no_grad()
    def sample(self, n: int, temperature: float = 1.0, *, context: Tensor | None = None) -> Float[Tensor, "n *D"]:
        """n images at the levels 0, 1/(K - 1), ..., 1; with a context one for each of its rows."""
        u = self.flow.sample(n, temperature, context=context)
        return (u * self.levels).floor().clamp(0, self.levels - 1) / (self.levels - 1)


class UniformNoise(nn.Module):
    """q(n|x) = 1 on [0, 1)^D."""

    def forward(self, x: Float[Tensor, "B *D"]) -> tuple[Float[Tensor, "B *D"], Float[Tensor, "B"]]:
        return torch.rand_like(x), unchanged(x)


class VariationalNoise(nn.Module):
    """q(n|x): n = sigmoid(g(e; x)), e ~ N(0, I), g a flow that reads the image.

    Args:
        transform: of (B, 2 C, H, W), image and e one above the other, that leaves the image as it is, `noise_couplings(...)`.
    """

    def __init__(self, transform: nn.Module):
        super().__init__()
        self.transform = transform

    def forward(self, x: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B"]]:
        e = torch.randn_like(x)
        both, log_det = self.transform(torch.cat([x, e], 1))
        a = both[:, x.shape[1]:]                                                 # logits of the noise
        slope = nn.functional.logsigmoid(a) + nn.functional.logsigmoid(-a)
        return a.sigmoid(), standard_normal(e) - log_det - slope.flatten(1).sum(1)


def noise_couplings(shape: tuple[int, int, int], *, width: int = 32, num_layers: int = 4) -> Chain:
    """Couplings on a checkerboard of the noise, all of which see the image (C, H, W)."""
    channels, height, pixels = shape
    board = checkerboard(height, pixels).expand(channels, -1, -1)
    image = torch.ones(shape)
    return Chain(*(MaskedCoupling(coupling_net(2 * channels, 4 * channels, width=width), torch.cat([image, board if k % 2 else 1 - board]))
                   for k in range(num_layers)))
