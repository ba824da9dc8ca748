"""Distributions of values in [0, 1] that a network's output may stand for.

    levels                log p = log softmax(l)_v,    v = (K - 1) x the level (van den Oord et al. 2016, arXiv 1601.06759)
    discretized logistic  log p = log(s(a) - s(b)),    a, b = (x +- 1/(2K - 2) - mu) / sigma: a level's edges (Salimans et al. 2017, arXiv 1701.05517)

The first two live on the K levels 0, 1/(K-1), ..., 1. The others are densities on the open interval (0, 1):

    beta                  p = x^(a-1) (1-x)^(b-1) / B(a, b)
    Kumaraswamy           p = a b x^(a-1) (1 - x^a)^(b-1);    F(x) = 1 - (1 - x^a)^b has an inverse (Kumaraswamy 1980, J. Hydrology 46)
    logit-normal          p = N(logit x; mu, sigma^2) / (x (1-x)),    the change of variables x = s(z)

s is the logistic sigmoid; log_prob is in nats.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Categorical, Distribution, Normal

from deepcanon.layers.precision import narrowed, widened


class Levels(Distribution):
    """A categorical distribution over the levels 0, 1/(K-1), ..., 1; logits (..., K)."""

    def __init__(self, logits: Tensor):
        self.level = Categorical(logits=logits, validate_args=False)
        self.levels = logits.shape[-1]
        super().__init__(self.level.batch_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.level.log_prob((value * (self.levels - 1)).round())

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        return self.level.sample(torch.Size(sample_shape)) / (self.levels - 1)

    @property
    def mean(self) -> Tensor:
        probs = self.level.probs
        return (probs * levels_like(probs, probs.shape[-1])).sum(-1)


class DiscretizedLogistic(Distribution):
    """A logistic density rounded to the levels 0, 1/(K-1), ..., 1; the tails belong to the first and the last."""

    def __init__(self, loc: Tensor, scale: Tensor, levels: int = 256):
        self.loc, self.scale, self.levels, self.half = loc, scale, levels, 0.5 / (levels - 1)
        super().__init__(loc.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        first, last = value < self.half, value > 1 - self.half
        below = F.logsigmoid((value + self.half - self.loc) / self.scale).masked_fill(last, 0)   # log s(a)
        above = F.logsigmoid((self.loc - value + self.half) / self.scale).masked_fill(first, 0)  # log(1 - s(b))
        width = torch.log(-torch.expm1(-2 * self.half / self.scale)).masked_fill(first | last, 0)
        return below + above + width                                             # s(a) - s(b) = s(a) (1 - s(b)) (1 - e^(b - a))

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.rand_like(widened(self.loc.expand(shape))).logit()
        v = ((self.loc + self.scale * noise).clamp(0, 1) * (self.levels - 1)).round()
        return narrowed(v / (self.levels - 1), like=self.loc)

    @property
    def mean(self) -> Tensor:
        edges = levels_like(self.loc, self.levels)[1:] - self.half               # E[v] = sum_k P(v >= k)
        return torch.sigmoid((self.loc.unsqueeze(-1) - edges) / self.scale.unsqueeze(-1)).sum(-1) / (self.levels - 1)


class Beta(Distribution):
    """x^(a-1) (1-x)^(b-1) / B(a, b)."""

    def __init__(self, a: Tensor, b: Tensor):
        self.a, self.b = a, b
        super().__init__(a.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        log_beta = torch.lgamma(self.a) + torch.lgamma(self.b) - torch.lgamma(self.a + self.b)
        return (self.a - 1) * value.log() + (self.b - 1) * torch.log1p(-value) - log_beta

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        return torch.distributions.Beta(self.a, self.b, validate_args=False).sample(torch.Size(sample_shape))


class Kumaraswamy(Distribution):
    """a b x^(a-1) (1 - x^a)^(b-1)."""

    def __init__(self, a: Tensor, b: Tensor):
        self.a, self.b = a, b
        super().__init__(a.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        log_x = value.log()
        log_rest = torch.log(-torch.expm1(self.a * log_x))                       # log(1 - x^a)
        return self.a.log() + self.b.log() + (self.a - 1) * log_x + (self.b - 1) * log_rest

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        u = torch.rand_like(widened(self.a.expand(self._extended_shape(torch.Size(sample_shape)))))
        x = (1 - (1 - u) ** (1 / self.b)) ** (1 / self.a)                        # F^-1(u)
        return narrowed(x, like=self.a)


class LogitNormal(Distribution):
    """s(z) for z ~ N(mu, sigma^2)."""

    def __init__(self, loc: Tensor, scale: Tensor):
        self.z = Normal(loc, scale, validate_args=False)
        super().__init__(loc.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.z.log_prob(value.logit()) - value.log() - torch.log1p(-value)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        return self.z.sample(torch.Size(sample_shape)).sigmoid()


def levels_like(x: Tensor, levels: int) -> Float[Tensor, "{levels}"]:
    """0, 1/(K-1), ..., 1, where and as precise as x is."""
    return torch.linspace(0, 1, levels, dtype=x.dtype, device=x.device)
