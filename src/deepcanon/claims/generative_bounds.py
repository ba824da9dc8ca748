"""Claims about the evidence lower bound, the gradients of its estimates and what they need."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, Numbers, claim
from deepcanon.claims.problems import descend
from deepcanon.foundations.information import gaussian_entropy, gaussian_kl, kl
from deepcanon.foundations.optimizers import GradientDescent
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.autoencoder import squared_error
from deepcanon.vae.evidence import elbo, log_evidence, posterior
from deepcanon.vae.gumbel_vae import gumbel
from deepcanon.vae.likelihoods import gaussian, gaussian_learned
from deepcanon.vae.score_function import ScoreFunctionVAE
from deepcanon.vae.vae import VAE, reparameterise
from deepcanon.vae.variational import PerPointVI, bound, refine


@claim("C-143", answer="yes")
def entropy_widens_a_posterior() -> Finding:
    """Fitting q by the expectation of log p under q alone makes it narrow; the entropy of q makes it wide.

    A Gaussian q fitted to a Gaussian of deviation 0.7 by 200 steps of descent from deviation 1: its deviation
    at the end, without and with the entropy in the objective.
    """
    mean, sigma = (torch.tensor(value, dtype=torch.float64) for value in (0.5, 0.7))

    def with_entropy(q: Tensor) -> Tensor:
        return gaussian_kl(q[0], q[1], mean, sigma)

    def without(q: Tensor) -> Tensor:
        return with_entropy(q) + gaussian_entropy(q[1])

    measured = {"target": sigma.item()}
    for name, loss in (("without", without), ("with_entropy", with_entropy)):
        end = descend(lambda p: GradientDescent(p, 0.1), loss, (0.0, 1.0), 200)[-1]
        measured |= {f"mean_{name}": end[0].item(), f"deviation_{name}": end[1].item()}
    wide = abs(measured["deviation_with_entropy"] - 0.7) < 1e-6
    return Finding(measured, measured["deviation_without"] < 0.01 and wide)


@claim("C-144", answer="yes")
def evidence_is_bound_and_divergence() -> Finding:
    """The log-likelihood log p(x) is the evidence lower bound plus the divergence KL(q(z) || p(z|x)).

    1,000 random joint distributions of an x and a latent of 7 values, a random q for each: the largest gap of
    the identity, the least divergence, and the gap of the bound when q is the posterior.
    """
    log_joint = 2 * torch.randn(1000, 7, dtype=torch.float64)
    log_q = torch.randn(1000, 7, dtype=torch.float64).log_softmax(1)
    log_posterior = posterior(log_joint)
    divergence = kl(log_q.exp(), log_posterior.exp())
    gap = log_evidence(log_joint) - elbo(log_joint, log_q)
    tight = log_evidence(log_joint) - elbo(log_joint, log_posterior)
    measured = {"identity_gap": (gap - divergence).abs().max().item(),
                "least_divergence": divergence.min().item(), "gap_at_posterior": tight.abs().max().item()}
    exact = max(measured["identity_gap"], measured["gap_at_posterior"]) < 1e-9
    return Finding(measured, exact and measured["least_divergence"] > 0)


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
    """The reconstruction loss of a VAE is commonly the squared error.

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


@claim("C-150", answer="no")
def a_vae_is_a_function_of_its_noise_too() -> Finding:
    """The network of a VAE, from an input to its reconstruction, is a function of the input.

    Two passes of one input with new noise and two with the same: the largest difference of the outputs; and
    the largest slope of the output in the code's mean for given noise, which the draw passes on.
    """
    vae = VAE(mlp(8, 16, 4), mlp(2, 16, 8), latent_dim=2, likelihood=gaussian)
    x = torch.randn(5, 8)

    def reconstruction(seed: int, shift: float = 0.0) -> Tensor:
        torch.manual_seed(seed)
        mu, log_var = vae.posterior(x)
        return vae.decode(reparameterise(mu + shift, log_var)).mean

    with torch.no_grad():
        first, second = reconstruction(0), reconstruction(1)
        measured = {"difference": (first - second).abs().max().item(),
                    "difference_with_same_noise": (first - reconstruction(0)).abs().max().item(),
                    "slope": ((reconstruction(0, 1e-2) - first) / 1e-2).abs().max().item()}
    return Finding(measured, measured["difference"] == 0,
                   "The code is drawn. As a function of input and noise it is one, and differentiable.")


class Table(nn.Module):
    """The same parameters of q for every row, each row with a gradient of its own."""

    def __init__(self, parameters: Tensor, rows: int):
        super().__init__()
        self.rows = nn.Parameter(parameters.repeat(rows, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.rows


@claim("C-152", answer="yes")
def reparameterized_gradients_vary_less() -> Finding:
    """Gradients through reparameterized draws have less variance than score-function estimates, but need a
    continuous latent.

    The bound of a decoder with two latents, 20,000 estimates of its gradient in the mean of q from one draw
    each, and 20,000 of the score function from 8 draws with a baseline: ratios of the variances and gap of
    the means in standard errors. For a categorical latent, the share of draws that a small change of the
    logits moves.
    """
    rows, decoder = 20_000, mlp(2, 16, 6, activation=nn.Tanh)
    x = torch.randn(6).repeat(rows, 1)

    def gradients(method: Callable[..., nn.Module], log_width: float, **options) -> Tensor:
        table = Table(torch.tensor([[0.3, -0.5, log_width, log_width]]), rows)
        likelihood = partial(gaussian, sigma=0.3)
        method(table, decoder, latent_dim=2, likelihood=likelihood, **options).elbo(x).sum().backward()
        return table.rows.grad[:, :2]

    score = partial(gradients, ScoreFunctionVAE, -0.5, posterior=gaussian_learned, prior=gaussian)
    path, single, several = gradients(VAE, -1.0), score(samples=1), score(samples=8)
    error = (path.var(0) / rows + several.var(0) / rows).sqrt()
    logits, noise = torch.randn(rows, 5).double(), gumbel(torch.zeros(rows, 5).double())
    moved = (logits + noise).argmax(1) != (logits + noise + 1e-9 * torch.randn(rows, 5)).argmax(1)
    measured = {"variance_ratio": (single.var(0).sum() / path.var(0).sum()).item(),
                "ratio_with_8_draws": (several.var(0).sum() / (path.var(0).sum() / 8)).item(),
                "mean_gap": ((path.mean(0) - several.mean(0)) / error).abs().max().item(),
                "categorical_draws_moved": moved.double().mean().item()}
    lower = min(measured["variance_ratio"], measured["ratio_with_8_draws"]) > 1
    return Finding(measured, lower and measured["categorical_draws_moved"] == 0)


@claim("C-153", answer="yes")
def posteriors_of_their_own_are_counted() -> Finding:
    """Variational inference without an encoder has |theta| + N (|mu| + |sigma|) parameters for N data points.

    A decoder with 3 latents, and a posterior of its own for each of 100 and of 1,000 points: parameters, and
    those of a VAE with an encoder.
    """
    def parameters(module: nn.Module) -> float:
        return float(sum(p.numel() for p in module.parameters()))

    decoder = mlp(3, 16, 8)
    measured: Numbers = {"theta": parameters(decoder)}
    for n in (100, 1000):
        measured[f"of_{n}_points"] = parameters(PerPointVI(decoder, num_points=n, latent_dim=3))
    measured["with_encoder"] = parameters(VAE(mlp(8, 16, 6), decoder, latent_dim=3))
    as_said = all(measured[f"of_{n}_points"] == measured["theta"] + n * (3 + 3) for n in (100, 1000))
    return Finding(measured, as_said, "An encoder's do not grow with the data.")
