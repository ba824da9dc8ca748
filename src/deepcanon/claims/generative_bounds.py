"""Claims about the evidence lower bound, the gradients of its estimates and what they need."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, Numbers, claim
from deepcanon.claims.problems import descend
from deepcanon.foundations.information import gaussian_entropy, gaussian_kl, kl
from deepcanon.foundations.optimizers import GradientDescent
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.evidence import elbo, log_evidence, posterior
from deepcanon.vae.gumbel_vae import gumbel
from deepcanon.vae.likelihoods import gaussian, gaussian_learned
from deepcanon.vae.score_function import ScoreFunctionVAE
from deepcanon.vae.vae import VAE, reparameterise
from deepcanon.vae.variational import PerPointVI


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

    def gradients(method: Callable[..., Any], log_width: float, **options) -> Tensor:
        table = Table(torch.tensor([[0.3, -0.5, log_width, log_width]]), rows)
        likelihood = partial(gaussian, sigma=0.3)
        bounds = method(table, decoder, latent_dim=2, likelihood=likelihood, **options).elbo(x)
        return torch.autograd.grad(bounds.sum(), table.rows)[0][:, :2]

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
