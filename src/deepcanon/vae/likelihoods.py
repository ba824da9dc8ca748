"""What a decoder's output means: the likelihood p(x|z) of a latent variable model (Kingma & Welling 2014, arXiv 1312.6114, appendix C).

    bernoulli             log p = x log s(l) + (1 - x) log(1 - s(l)),    s the logistic sigmoid, x in [0, 1]
    gaussian              log p = -(x - mu)^2 / (2 sigma^2) - log sigma - log(2 pi) / 2;    sigma = 1: half the squared error and a constant
    categorical           log p = log softmax(l)_v,    v = 255 x the level of a pixel (van den Oord et al. 2016, arXiv 1601.06759)
    discretized_logistic  log p = log(s(a) - s(b)),    a, b = (x +- 1/510 - mu) / sigma: a level's edges (Salimans et al. 2017, arXiv 1701.05517)

Each maps the decoder's output to a distribution over whole data points, whose `log_prob` is in nats, summed over their values.
B batch, C channels, D the other dimensions of a data point.
"""

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, Normal

from deepcanon.layers.likelihoods import DiscretizedLogistic, Levels

LEVELS = 256


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
    return whole(DiscretizedLogistic(mean, log_scale.exp(), LEVELS))


def whole(values: Distribution) -> Independent:
    """The distribution of a data point whose values are independent: all dimensions but the first are one event."""
    return Independent(values, len(values.batch_shape) - 1, validate_args=False)
