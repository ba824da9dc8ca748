"""What the output at a position means: the distribution of the C values there, the pixel's channels, on the levels 0, 1/(K-1), ..., 1.

    Softmax           p(x_c | x_<c) = softmax(l_c + sum_{b<c} T_cb[x_b])                   T tables (van den Oord et al. 2016, arXiv 1601.06759)
    LogisticMixture   p(x) = sum_m pi_m prod_c L(x_c; mu_mc + sum_{b<c} k_mcb x_b, s_mc)   L a logistic rounded to the levels
                                                                                           (Salimans et al. 2017, arXiv 1701.05517)
    Continuous        p(x) = prod_c int f_c over the level's part of [0, 1]                f a density: beta, kumaraswamy, logit_normal

A softmax has no notion that near levels are alike; a mixture of logistics has. Each has `size`, the numbers a position, `log_prob` in nats, and
`sample`. Continuous.log_prob is log f at a random place of the part, less log K: on average a lower bound on the integral's.
P = `size`, C channels, K levels, M components.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution

from deepcanon.layers.likelihoods import Beta, DiscretizedLogistic, Kumaraswamy, LogitNormal
from deepcanon.layers.precision import widened


class Softmax(nn.Module):
    """A logit for each level of each channel.

    Args:
        channels: C.
        levels: K.
    """

    def __init__(self, channels: int = 1, levels: int = 256):
        super().__init__()
        self.channels, self.levels, self.size = channels, levels, channels * levels
        self.tables = nn.ModuleList(nn.Embedding(levels, levels) for _ in range(channels * (channels - 1) // 2))
        for table in self.tables.parameters():
            nn.init.zeros_(table)

    def log_prob(self, output: Float[Tensor, "*B P"], x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B"]:
        v = (x * (self.levels - 1)).round().long().unbind(-1)
        each = [F.cross_entropy(self.logits(output, v, c).flatten(0, -2), v[c].flatten(), reduction="none") for c in range(self.channels)]
        return -torch.stack(each).sum(0).view(x.shape[:-1])

    def sample(self, output: Float[Tensor, "n P"]) -> Float[Tensor, "n C"]:
        v: list[Tensor] = []
        for c in range(self.channels):
            v.append(torch.multinomial(self.logits(output, v, c).softmax(-1), 1).squeeze(1))
        return torch.stack(v, 1).to(output) / (self.levels - 1)

    def logits(self, output: Float[Tensor, "*B P"], v: Sequence[Int[Tensor, "*B"]], c: int) -> Float[Tensor, "*B K"]:
        """Of channel c, given the levels v of those before."""
        logits = output[..., c * self.levels : (c + 1) * self.levels]
        for b in range(c):
            logits = logits + self.tables[c * (c - 1) // 2 + b](v[b])
        return logits


class LogisticMixture(nn.Module):
    """Components with a weight, and for each channel a centre, a log scale and a slope on each channel before.

    Args:
        channels: C.
        components: M.
        levels: K.
    """

    def __init__(self, channels: int = 1, components: int = 10, levels: int = 256):
        super().__init__()
        self.channels, self.components, self.levels = channels, components, levels
        self.parts = (1, channels, channels, channels * (channels - 1) // 2)
        self.size = components * sum(self.parts)

    def log_prob(self, output: Float[Tensor, "*B P"], x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B"]:
        log_pi, loc, scale, slope = self.parameters_of(output)
        x = x.unsqueeze(-2)                                                      # (*B, 1, C)
        loc = torch.stack([self.centre(loc, slope, x, c) for c in range(self.channels)], -1)
        return (log_pi + DiscretizedLogistic(loc, scale, self.levels).log_prob(x).sum(-1)).logsumexp(-1)

    def sample(self, output: Float[Tensor, "n P"]) -> Float[Tensor, "n C"]:
        log_pi, *parts = self.parameters_of(output)
        m = torch.multinomial(log_pi.exp(), 1)[..., None]                        # (n, 1, 1)
        loc, scale, slope = (t.take_along_dim(m, 1).squeeze(1) for t in parts)   # (n, C), (n, C), (n, C (C-1) / 2)
        x = loc[:, :0]
        for c in range(self.channels):
            x = torch.cat([x, DiscretizedLogistic(self.centre(loc, slope, x, c), scale[:, c], self.levels).sample()[:, None]], 1)
        return x

    def parameters_of(self, output: Float[Tensor, "*B P"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """log pi (*B, M), then centres, scales (both of the order of 1, not of K) and slopes (*B, M, ...)."""
        log_pi, loc, log_scale, slope = output.unflatten(-1, (self.components, -1)).split(self.parts, -1)
        return log_pi.squeeze(-1).log_softmax(-1), loc + 0.5, (log_scale - 2).clamp(min=-8).exp(), slope.tanh()

    def centre(self, loc: Float[Tensor, "*M C"], slope: Float[Tensor, "*M _"], x: Float[Tensor, "*#M _"], c: int) -> Float[Tensor, "*M"]:
        """mu of channel c, given the channels x before it."""
        first = c * (c - 1) // 2
        return loc[..., c] + (slope[..., first : first + c] * x[..., :c]).sum(-1)


class Continuous(nn.Module):
    """A density for each channel, of which a level takes its K-th part of [0, 1]; the channels are independent.

    Args:
        density: (a, b) -> distribution on (0, 1): `beta`, `kumaraswamy`, `logit_normal`.
        channels: C.
        levels: K.
    """

    likelihood_is = "bound"                                                      # of the level's probability, by a draw of its place

    def __init__(self, density: Callable[[Tensor, Tensor], Distribution], channels: int = 1, levels: int = 256):
        super().__init__()
        self.density, self.channels, self.levels, self.size = density, channels, levels, 2 * channels

    def log_prob(self, output: Float[Tensor, "*B P"], x: Float[Tensor, "*B C"]) -> Float[Tensor, "*B"]:
        output, x = widened(output), widened(x)                                  # places near 1 must not be 1
        place = (x * (self.levels - 1) + torch.rand_like(x).clamp(1e-3, 1 - 1e-3)) / self.levels
        return self.density(*output.chunk(2, -1)).log_prob(place).sum(-1) - self.channels * math.log(self.levels)

    def sample(self, output: Float[Tensor, "n P"]) -> Float[Tensor, "n C"]:
        place = self.density(*output.chunk(2, -1)).sample()
        return (place * self.levels).floor().clamp(0, self.levels - 1) / (self.levels - 1)


def beta(a: Tensor, b: Tensor) -> Beta:
    """Real numbers to the two positive parameters of a beta density; the uniform one at 0."""
    return Beta(*positive(a, b))


def kumaraswamy(a: Tensor, b: Tensor) -> Kumaraswamy:
    """Real numbers to the two positive parameters of a Kumaraswamy density; the uniform one at 0."""
    return Kumaraswamy(*positive(a, b))


def logit_normal(loc: Tensor, log_scale: Tensor) -> LogitNormal:
    """The mean and the log deviation of the logit."""
    return LogitNormal(loc, log_scale.clamp(-7, 7).exp())


def positive(*values: Tensor) -> list[Tensor]:
    """e^v, within [e^-7, e^7]."""
    return [v.clamp(-7, 7).exp() for v in values]
