"""Variational autoencoder (Kingma & Welling 2014, arXiv 1312.6114; Rezende et al. 2014, arXiv 1401.4082).

    log p(x) >= ELBO(x) = E_{q(z|x)}[log p(x|z)] - beta * KL(q(z|x) || p(z))
    z = mu(x) + sigma(x) * eps,    eps ~ N(0, I)

q(z|x) = N(mu, diag sigma^2) comes from the encoder, p(x|z) from the decoder and a likelihood, p(z) = N(0, I).
beta > 1 trades reconstruction for a simpler code (Higgins et al. 2017); beta = 0 is a plain autoencoder with
a noisy code. The bound holds for any q(z|x), so q may be given a damaged x: a denoising VAE (Im et al. 2017,
arXiv 1511.06406), which inpaints.
B batch, D shape of a data point, Z latent, K importance samples.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from deepcanon.layers.contract import checked
from deepcanon.vae.likelihoods import bernoulli, check, log_likelihood
from deepcanon.vae.schedule import Scheduled, value_at


@checked
class VAE(nn.Module):
    """A variational autoencoder with any encoder, decoder and likelihood.

    Args:
        encoder: (B, *D) -> (B, 2 Z), mean and log variance of q(z|x) side by side.
        decoder: (B, Z) -> the parameters of p(x|z).
        latent_dim: Z.
        beta: weight of the KL term, a number or `Scheduled`.
        likelihood: decoder output -> distribution over data points (B, *D), see `deepcanon.vae.likelihoods`.
        corrupt: x -> what the encoder sees of it in training; None: all.
    """

    likelihood_is = "bound"

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, latent_dim: int,
                 beta: float | Scheduled = 1.0, likelihood: Callable[[Tensor], Distribution] = bernoulli,
                 corrupt: Callable[[Tensor], Tensor] | None = None):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent_dim, self.beta, self.likelihood, self.corrupt = latent_dim, beta, likelihood, corrupt

    def loss(self, batch) -> dict[str, Tensor]:
        """Negative ELBO in nats an example, with its two terms.

        Raises:
            ValueError: data outside the support of the likelihood, see `likelihoods.check`.
        """
        x = batch[0]                                                             # (B, *D)
        mu, log_var = self.posterior(self.corrupt(x) if self.corrupt else x)
        reconstruction = -self.log_likelihood(x, reparameterise(mu, log_var)).mean()
        kl = kl_standard_normal(mu, log_var).mean()
        return {"loss": reconstruction + value_at(self.beta) * kl, "reconstruction": reconstruction, "kl": kl}

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        return {"elbo": self.elbo(batch[0])}

    def posterior(self, x: Float[Tensor, "B *D"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Mean and log variance of q(z|x).

        Raises:
            ValueError: the encoder's output is not (B, 2 Z).
        """
        return moments(self.encoder(x), self.latent_dim)

    def decode(self, z: Float[Tensor, "B Z"]) -> Distribution:
        """p(x|z); its `mean` is the picture of a code."""
        return self.likelihood(self.decoder(z))

    def log_likelihood(self, x: Float[Tensor, "B *D"], z: Float[Tensor, "B Z"]) -> Float[Tensor, "B"]:
        """log p(x|z), of data in the support of the likelihood."""
        return log_likelihood(self.decode(z), x)

    def elbo(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """One-sample estimate of the evidence lower bound (beta = 1), nats."""
        mu, log_var = self.posterior(x)
        return self.log_likelihood(x, reparameterise(mu, log_var)) - kl_standard_normal(mu, log_var)

    @torch.no_grad()
    def log_prob(self, x: Float[Tensor, "B *D"], samples: int = 500) -> Float[Tensor, "B"]:
        """Importance-sampled log p(x) in nats: log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x).

        A lower bound on average, tight as K grows.
        """
        mu, log_var = self.posterior(x)
        check(self.decode(mu), x)
        q, prior = Normal(mu, (log_var / 2).exp()), Normal(torch.zeros_like(mu), 1.0)

        def log_weight(z: Tensor) -> Tensor:
            return self.decode(z).log_prob(x) + (prior.log_prob(z) - q.log_prob(z)).sum(-1)

        return torch.stack([log_weight(q.sample()) for _ in range(samples)]).logsumexp(0) - math.log(samples)

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B Z"]:
        """The mean code of each data point."""
        return self.posterior(x)[0]

    @torch.no_grad()
    def reconstruct(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
        """The mean of p(x|z) at the mean code."""
        return self.decode(self.encode(x)).mean

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n data points: z ~ p(z), x ~ p(x|z)."""
        return self.decode(self.prior(n)).sample()

    def prior(self, n: int) -> Float[Tensor, "n Z"]:
        """n draws of z ~ N(0, I), on the decoder's device."""
        return next(self.decoder.parameters()).new_empty(n, self.latent_dim).normal_()


def moments(code: Float[Tensor, "B ..."],
            latent_dim: int) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
    """Mean and log variance, side by side in the output of a net.

    Raises:
        ValueError: it is not (B, 2 Z).
    """
    if code.shape[1:] != (2 * latent_dim,):
        raise ValueError(f"expected a net's output of shape {(len(code), 2 * latent_dim)}, mean and log "
                         f"variance, got {tuple(code.shape)}")
    mu, log_var = code.chunk(2, 1)
    return mu, log_var


def kl_standard_normal(mu: Float[Tensor, "*B Z"], log_var: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B"]:
    """KL(N(mu, diag exp log_var) || N(0, I)) in nats, in closed form."""
    return 0.5 * (mu.square() + log_var.exp() - 1 - log_var).sum(-1)


def reparameterise(mu: Float[Tensor, "*B Z"], log_var: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B Z"]:
    """A draw from N(mu, diag exp log_var) that gradients pass through."""
    return mu + torch.randn_like(mu) * (log_var / 2).exp()
