"""Claims about the decoders of variational autoencoders and the likelihoods they stand for."""

import math
from functools import partial

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, claim
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.autoencoder import squared_error
from deepcanon.vae.likelihoods import gaussian
from deepcanon.vae.vae import VAE
from deepcanon.vae.variational import bound, refine


class Quantiles(nn.Module):
    """z -> F^-1(Phi(z)), F of half N(-2, 1/4) and half N(2, 1/4): it turns N(0, 1) into that distribution."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(()))
        self.values = torch.linspace(-5, 5, 200_001, dtype=torch.float64)
        normal = torch.distributions.Normal(torch.tensor([-2.0, 2.0]).double(), 0.5)
        self.levels = normal.cdf(self.values[:, None]).mean(1)

    def forward(self, z: Tensor) -> Tensor:
        level = torch.special.ndtr(z.double()).clamp(1e-9, 1 - 1e-9)
        i = torch.searchsorted(self.levels, level.detach()).clamp(1, len(self.levels) - 1)
        left, right, start = self.levels[i - 1], self.levels[i], self.values[i - 1]
        step = self.values[1] - self.values[0]
        return (start + step * (level - left) / (right - left)).float() + self.shift


class Folded(nn.Module):
    """z -> |z|."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, z: Tensor) -> Tensor:
        return z.abs() + self.shift


class Around(nn.Module):
    """A Gaussian around the z that a data point is decoded from, as wide as the slope of the decoder says."""

    def __init__(self, invert, decoder: nn.Module, sigma: float):
        super().__init__()
        self.invert, self.decoder, self.sigma = invert, decoder, sigma

    def forward(self, x: Tensor) -> Tensor:
        z, h = self.invert(x), 1e-3
        slope = (self.decoder(z + h) - self.decoder(z - h)) / (2 * h)
        return torch.cat([z, -torch.log1p((slope / self.sigma).square())], 1)


def bound_gap(decoder: nn.Module, invert, sigma: float, x: Tensor, log_p: Tensor) -> float:
    """Mean of log p(x) less the bound, with the best Gaussian q for each x, nats."""
    likelihood = partial(gaussian, sigma=sigma)
    vae = VAE(Around(invert, decoder, sigma), decoder, latent_dim=1, likelihood=likelihood)
    with torch.no_grad():
        mu, log_var = refine(vae, x, steps=200, lr=sigma / 10)
        return (log_p - bound(x, mu, log_var, vae.decode, 2000)).mean().item()


@claim("C-145", answer="no")
def flexible_decoders_close_the_gap() -> Finding:
    """With nets of unlimited power, the gap between the negative log-likelihood of a VAE and its bound tends
    to zero.

    Data of two Gaussian modes and the decoder that turns N(0, 1) into them, with noise 0.5, 0.1 and 0.02: the
    gap of the best Gaussian q for each point (by draws, right to 0.001), the negative log-likelihood, and the
    entropy of the data. Then a decoder that stays, |z| with noise 0.3, and its gap on its own data.
    """
    level = (torch.arange(200) + 0.5) / 200
    decoder, folded = Quantiles(), Folded()
    x = decoder(torch.special.ndtri(level)[:, None]).detach()

    def log_mixture(noise: float) -> Tensor:
        deviation = math.sqrt(0.25 + noise**2)
        modes = torch.distributions.Normal(torch.tensor([-2.0, 2.0]), deviation)
        return modes.log_prob(x).logsumexp(1) - math.log(2)

    def inverse(x: Tensor) -> Tensor:
        modes = torch.distributions.Normal(torch.tensor([-2.0, 2.0]), 0.5)
        return torch.special.ndtri(modes.cdf(x).mean(1, keepdim=True).clamp(1e-6, 1 - 1e-6))

    measured = {"entropy": -log_mixture(0.0).mean().item()}
    for noise in (0.5, 0.1, 0.02):
        log_p = log_mixture(noise)
        measured |= {f"gap_at_{noise}": bound_gap(decoder, inverse, noise, x, log_p),
                     f"nll_at_{noise}": -log_p.mean().item()}
    own = torch.special.ndtri(level)[:, None].abs() + 0.3 * torch.randn(200, 1)
    width = math.sqrt(1.09)
    log_p = (math.log(2) + torch.distributions.Normal(0.0, width).log_prob(own)
             + torch.special.log_ndtr(own / (0.3 * width)))[:, 0]
    measured["gap_of_fixed_decoder"] = bound_gap(folded, torch.abs, 0.3, own, log_p)
    closes = measured["gap_at_0.02"] < 0.02 and measured["nll_at_0.02"] - measured["entropy"] < 0.02
    return Finding(measured, closes, "A decoder that stays keeps its gap, as q is a Gaussian and its "
                   "posterior is none; but training chooses the decoder too, and there are ones whose "
                   "posteriors come ever closer to Gaussians.")


@claim("C-149", answer="yes")
def squared_error_is_a_gaussian_likelihood() -> Finding:
    """It is common to take the squared error as the reconstruction term of a VAE.

    A decoder of 12 values with Gaussian noise of deviation 0.5, at 200 random points: how far its negative
    log-likelihood is from 12 / (2 0.5^2) times the mean squared error plus a constant.
    """
    vae = VAE(mlp(12, 8, 6), mlp(3, 8, 12), latent_dim=3, likelihood=partial(gaussian, sigma=0.5)).double()
    x, z = torch.randn(200, 12, dtype=torch.float64), torch.randn(200, 3, dtype=torch.float64)
    with torch.no_grad():
        nll = -vae.log_likelihood(x, z)
        rest = nll - 12 / (2 * 0.5**2) * squared_error(x, vae.decode(z).mean)
    measured = {"constant": rest.mean().item(), "spread": (rest.max() - rest.min()).item()}
    return Finding(measured, measured["spread"] < 1e-9,
                   "It is the likelihood of a Gaussian with one known deviation; how common, is a matter of "
                   "practice.")
