"""What a decoder's output means: the likelihood p(x|z) of a latent variable model (Kingma & Welling 2014, arXiv 1312.6114, appendix C).

    bernoulli             log p = x log s(l) + (1 - x) log(1 - s(l)),    s the logistic sigmoid, x in [0, 1]
    gaussian              log p = -(x - mu)^2 / (2 sigma^2) - log sigma - log(2 pi) / 2;    sigma = 1: half the squared error and a constant
    categorical           log p = log softmax(l)_v,    v = 255 x the level of a pixel (van den Oord et al. 2016, arXiv 1601.06759)
    discretized_logistic  log p = log(s(a) - s(b)),    a, b = (x +- 1/510 - mu) / sigma: a level's edges (Salimans et al. 2017, arXiv 1701.05517)

Each maps the decoder's output to a distribution over whole data points, whose `log_prob` is in nats, summed over their values.
B batch, C channels, D the other dimensions of a data point.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Independent, Normal

LEVELS = 256
HALF = 0.5 / (LEVELS - 1)                                                        # half the distance of two levels


def bernoulli(logits: Float[Tensor, "B *D"]) -> Distribution:
    """Binary values, one logit each; a grey value in [0, 1] enters as the cross-entropy against it."""
    return whole(Bernoulli(logits=logits, validate_args=False))


def gaussian(mean: Float[Tensor, "B *D"], sigma: float = 1.0) -> Distribution:
    """Real values around `mean` with one known deviation."""
    return whole(Normal(mean, sigma, validate_args=False))


def gaussian_learned(output: Float[Tensor, "B C2 *D"]) -> Distribution:
    """Real values: means, then log deviations, along dimension 1."""
    mean, log_sigma = output.chunk(2, 1)
    return whole(Normal(mean, log_sigma.exp(), validate_args=False))


def categorical(logits: Float[Tensor, "B C256 *D"]) -> Distribution:
    """Pixels v / 255: along dimension 1 a logit for each level of each channel, levels slowest."""
    return whole(Levels(logits.unflatten(1, (LEVELS, -1)).movedim(1, -1)))       # (B, C, *D, 256)


def discretized_logistic(output: Float[Tensor, "B C2 *D"]) -> Distribution:
    """Pixels v / 255: centres, then log scales, of logistic densities rounded to the levels, along dimension 1."""
    mean, log_scale = output.chunk(2, 1)
    return whole(DiscretizedLogistic(mean, log_scale.exp()))


def whole(values: Distribution) -> Independent:
    """The distribution of a data point whose values are independent: all dimensions but the first are one event."""
    return Independent(values, len(values.batch_shape) - 1, validate_args=False)


class Levels(Distribution):
    """A categorical distribution over the levels 0, 1/255, ..., 1; logits (..., 256)."""

    def __init__(self, logits: Tensor):
        self.level = Categorical(logits=logits, validate_args=False)
        super().__init__(self.level.batch_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.level.log_prob((value * (LEVELS - 1)).round())

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        return self.level.sample(torch.Size(sample_shape)) / (LEVELS - 1)

    @property
    def mean(self) -> Tensor:
        return (self.level.probs * levels_like(self.level.probs)).sum(-1)


class DiscretizedLogistic(Distribution):
    """A logistic density rounded to the levels 0, 1/255, ..., 1; the tails belong to the first and the last."""

    def __init__(self, loc: Tensor, scale: Tensor):
        self.loc, self.scale = loc, scale
        super().__init__(loc.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        first, last = value < HALF, value > 1 - HALF
        below = F.logsigmoid((value + HALF - self.loc) / self.scale).masked_fill(last, 0)   # log s(a)
        above = F.logsigmoid((self.loc - value + HALF) / self.scale).masked_fill(first, 0)  # log(1 - s(b))
        width = torch.log(-torch.expm1(-2 * HALF / self.scale)).masked_fill(first | last, 0)
        return below + above + width                                             # s(a) - s(b) = s(a) (1 - s(b)) (1 - e^(b - a))

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device).logit()
        return ((self.loc + self.scale * noise).clamp(0, 1) * (LEVELS - 1)).round() / (LEVELS - 1)

    @property
    def mean(self) -> Tensor:
        edges = levels_like(self.loc)[1:] - HALF                                 # E[v] = sum_k P(v >= k)
        return torch.sigmoid((self.loc.unsqueeze(-1) - edges) / self.scale.unsqueeze(-1)).sum(-1) / (LEVELS - 1)


def levels_like(x: Tensor) -> Float[Tensor, "256"]:
    """0, 1/255, ..., 1, where and as precise as x is."""
    return torch.linspace(0, 1, LEVELS, dtype=x.dtype, device=x.device)
