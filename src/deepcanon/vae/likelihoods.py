"""What a decoder's output means: the likelihood p(x|z) of a latent variable model (Kingma & Welling 2014, arXiv 1312.6114, appendix C).

    bernoulli             log p = x log s(l) + (1 - x) log(1 - s(l)),    s the logistic sigmoid, x in [0, 1]
    gaussian              log p = -(x - mu)^2 / (2 sigma^2) - log sigma - log(2 pi) / 2;    sigma = 1: half the squared error and a constant
    categorical           log p = log softmax(l)_v,    v = 255 x the level of a pixel (van den Oord et al. 2016, arXiv 1601.06759)
    discretized_logistic  log p = log(s(a) - s(b)),    a, b = (x +- 1/510 - mu) / sigma: a level's edges (Salimans et al. 2017, arXiv 1701.05517)
    logistic_mixture      log p = log sum_m w_m (s(a_m) - s(b_m)),    w = softmax of M weights: a pixel may be one of several values

Each maps the decoder's output to a distribution over whole data points, whose `log_prob` is in nats, summed over their values.
The last three live on the levels 0, 1/(L-1), ..., 1, with L = 256 by default. `check` raises ValueError on data outside
a likelihood's support.
B batch, C channels, D the other dimensions of a data point, L levels, M components.
"""

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Independent, MixtureSameFamily, Normal

from deepcanon.layers.checks import finite, on_levels, unit
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


def categorical(logits: Float[Tensor, "B CL *D"], levels: int = LEVELS) -> Distribution:
    """Pixels v / (L - 1): along dimension 1 a logit for each level of each channel, levels slowest."""
    return whole(Levels(logits.unflatten(1, (levels, -1)).movedim(1, -1)))       # (B, C, *D, L)


def discretized_logistic(output: Float[Tensor, "B C2 *D"], levels: int = LEVELS) -> Distribution:
    """Pixels v / (L - 1): centres, then log scales, of logistic densities rounded to the levels, along dimension 1."""
    mean, log_scale = output.chunk(2, 1)
    return whole(DiscretizedLogistic(mean, log_scale.exp(), levels))


def logistic_mixture(output: Float[Tensor, "B C3M *D"], components: int, levels: int = LEVELS) -> Distribution:
    """Pixels v / (L - 1): along dimension 1 logits of the weights, centres, log scales, each of M components for C channels, channels fastest."""
    logits, mean, log_scale = output.unflatten(1, (3, components, -1)).movedim(2, -1).unbind(1)               # (B, C, *D, M) each
    return whole(MixtureSameFamily(Categorical(logits=logits, validate_args=False), DiscretizedLogistic(mean, log_scale.exp(), levels),
                                   validate_args=False))


def whole(values: Distribution) -> Independent:
    """The distribution of a data point whose values are independent: all dimensions but the first are one event."""
    return Independent(values, len(values.batch_shape) - 1, validate_args=False)


def log_likelihood(p: Distribution, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
    """log p(x), of data in the support of p, see `check`."""
    return p.log_prob(check(p, x))


def check(p: Distribution, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
    """The data x, if they lie in the support of p.

    Raises:
        ValueError: data of another shape; nan or inf; values outside [0, 1], or between the levels, under a likelihood of such values.
    """
    if p.event_shape != x.shape[1:]:
        raise ValueError(f"expected data of the shape that the decoder makes, {tuple(p.event_shape)}, got {tuple(x.shape[1:])}")
    if p.batch_shape != x.shape[:1]:
        raise ValueError(f"expected a decoder output for each of {len(x)} data points, got {tuple(p.batch_shape)}")
    values = getattr(p, "base_dist", p)
    values = values.component_distribution if isinstance(values, MixtureSameFamily) else values
    if isinstance(values, Levels | DiscretizedLogistic):
        return on_levels(x, values.levels)
    return unit(x) if isinstance(values, Bernoulli) else finite(x)
