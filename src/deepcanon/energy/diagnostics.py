"""Whether chains have converged and what their draws are worth (Vehtari et al. 2021, arXiv 1903.08008; Gelman & Rubin 1992).

    R-hat = sqrt( ((n - 1) W + B) / (n W) ),    W the mean variance within a chain, B n times the variance of the chains' means
    ESS   = n m / tau,    tau = -1 + 2 sum_k P_k,    P_k = rho_2k + rho_{2k+1},    rho_t = 1 - (W - mean autocovariance at t) / ((n - 1) W + B) n

Each chain is cut in two first, so that one that drifts disagrees with itself. The sum of the autocorrelations ends before the first P_k that is not
positive and its terms may not rise. With the rank of each draw among all, read as a normal quantile, in place of the draw, both also see chains that
differ in their tails; R-hat is then the larger one of ranks and of ranks of distances to the median.
S draws of each of C chains; n = S / 2, m = 2 C; D shape of a point.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from deepcanon.layers.checks import finite


def r_hat(draws: Float[Tensor, "S C *D"]) -> Float[Tensor, "*D"]:
    """Rank-normalised split R-hat of each coordinate: near 1 when chains agree; 1.01 is the usual limit."""
    halves = split(draws)
    ordered = halves.flatten(0, 1).sort(0).values                                # `quantile` takes no more than 2^24 of them
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return torch.maximum(disagreement(normal_ranks(halves)), disagreement(normal_ranks((halves - median).abs())))


def split_r_hat(draws: Float[Tensor, "S C *D"]) -> Float[Tensor, "*D"]:
    """Split R-hat of the draws themselves."""
    return disagreement(split(draws))


def bulk_size(draws: Float[Tensor, "S C *D"]) -> Float[Tensor, "*D"]:
    """Effective sample size of the ranks ("bulk"), a diagnostic that exists for any law."""
    return independent_draws(normal_ranks(split(draws)))


def effective_sample_size(draws: Float[Tensor, "S C *D"]) -> Float[Tensor, "*D"]:
    """How many independent draws would give the mean as exactly."""
    return independent_draws(split(draws))


def standard_error(draws: Float[Tensor, "S C *D"]) -> Float[Tensor, "*D"]:
    """The standard deviation of the mean of all draws, s / sqrt(ESS)."""
    return draws.double().flatten(0, 1).std(0) / effective_sample_size(draws).sqrt()


def split(draws: Float[Tensor, "S C *D"]) -> Float[Tensor, "n m *D"]:
    """The two halves of each chain as chains, in float64.

    Raises:
        ValueError: fewer than four draws a chain, nan or inf among them, a coordinate that never moves.
    """
    n = len(draws) // 2
    if n < 2:
        raise ValueError(f"expected four draws a chain or more, got {len(draws)}")
    halves = torch.cat([finite(draws)[:n], draws[-n:]], 1).double()
    still = (halves == halves[0, 0]).flatten(0, 1).all(0)
    if still.any():
        raise ValueError(f"expected draws that differ, got one value throughout in {int(still.sum())} of {still.numel()} coordinates")
    return halves


def disagreement(x: Float[Tensor, "n m *D"]) -> Float[Tensor, "*D"]:
    """R-hat of chains as they are."""
    n = len(x)
    within, between = x.var(0).mean(0), n * x.mean(0).var(0)
    return ((between / within + n - 1) / n).sqrt()


def independent_draws(x: Float[Tensor, "n m *D"]) -> Float[Tensor, "*D"]:
    """ESS of chains as they are, at most n m log10(n m)."""
    n, m = x.shape[:2]
    covariance = autocovariance(x).mean(1)                                       # (n, *D)
    within = covariance[0] * n / (n - 1)
    rho = 1 - (within - covariance) / (covariance[0] + x.mean(0).var(0))
    rho[0] = 1
    even, odd = rho[0 : n - 1 : 2], rho[1:n:2]
    alive = (even + odd > 0).cumprod(0)                                          # (K, *D)
    alive[max(0, (n - 3) // 2) :] = 0                                            # of the longest lags too little is known
    pairs = ((even + odd).cummin(0).values * alive).sum(0)
    tau = -1 + 2 * pairs + even.gather(0, alive.sum(0, keepdim=True)).squeeze(0).clamp(min=0)   # the first rho left out, where it is positive
    return n * m / tau.clamp(min=1 / math.log10(n * m))


def autocovariance(x: Float[Tensor, "n m *D"]) -> Float[Tensor, "n m *D"]:
    """At each lag, 1/n sum_i (x_i - mean) (x_{i+t} - mean), by Fourier transform."""
    n = len(x)
    spectrum = torch.fft.rfft(x - x.mean(0), n=2 * n, dim=0)
    return torch.fft.irfft(spectrum.abs().square(), n=2 * n, dim=0)[:n] / n


def normal_ranks(x: Float[Tensor, "n m *D"]) -> Float[Tensor, "n m *D"]:
    """Phi^-1((rank - 3/8) / (N + 1/4)) of each of the N = n m draws of a coordinate; equal draws share the mean of their ranks."""
    values = x.flatten(0, 1).reshape(x.shape[0] * x.shape[1], -1).T.contiguous()   # (prod D, N)
    ordered = values.sort(1).values
    rank = (torch.searchsorted(ordered, values) + torch.searchsorted(ordered, values, right=True) + 1).to(x) / 2
    return torch.special.ndtri((rank - 0.375) / (values.shape[1] + 0.25)).T.reshape(x.shape)
