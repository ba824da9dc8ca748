"""Conditional variational autoencoder (Sohn, Lee & Yan 2015, "Learning structured output representation using
deep conditional generative models").

    log p(x|y) >= E_{q(z|x,y)}[log p(x|z,y)] - KL(q(z|x,y) || p(z|y)),      p(z|y) = N(0, I), or learned

y is the condition: a class, or an observation that leaves x open; z is what of x does not follow from it.
B batch, D shape of a data point, Y shape of a condition, Z latent.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.distributions import Distribution

from deepcanon.layers.contract import checked
from deepcanon.vae.likelihoods import bernoulli, log_likelihood
from deepcanon.vae.schedule import Scheduled, value_at
from deepcanon.vae.vae import kl_standard_normal, moments, reparameterise


@checked
class ConditionalVAE(nn.Module):
    """A VAE whose nets are given y.

    Args:
        encoder: (x (B, *D), y (B, *Y)) -> (B, 2 Z), mean and log variance of q(z|x,y) side by side.
        decoder: (z (B, Z), y) -> the parameters of p(x|z,y).
        latent_dim: Z.
        prior: y -> (B, 2 Z), mean and log variance of p(z|y); None: N(0, I).
        beta: weight of the KL term, a number or `Scheduled`.
        likelihood: decoder output -> distribution over data points (B, *D).
    """

    likelihood_is = "bound"

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, latent_dim: int,
                 prior: nn.Module | None = None, beta: float | Scheduled = 1.0,
                 likelihood: Callable[[Tensor], Distribution] = bernoulli):
        super().__init__()
        self.encoder, self.decoder, self.prior = encoder, decoder, prior
        self.latent_dim, self.beta, self.likelihood = latent_dim, beta, likelihood

    def loss(self, batch) -> dict[str, Tensor]:
        """Negative bound in nats an example, with its two terms.

        Raises:
            ValueError: the conditions y are missing; data outside the support of the likelihood.
        """
        reconstruction, kl = (term.mean() for term in self.terms(*with_condition(batch)))
        return {"loss": reconstruction + value_at(self.beta) * kl, "reconstruction": reconstruction, "kl": kl}

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        return {"elbo": self.elbo(*with_condition(batch))}

    def terms(self, x: Float[Tensor, "B *D"],
              y: Shaped[Tensor, "B *Y"]) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
        """-log p(x|z,y) at a draw of q, and KL(q(z|x,y) || p(z|y)), in nats."""
        mu, log_var = moments(self.encoder(x, y), self.latent_dim)
        p = self.decode(reparameterise(mu, log_var), y)
        if self.prior is None:
            return -log_likelihood(p, x), kl_standard_normal(mu, log_var)
        return -log_likelihood(p, x), kl_normal(mu, log_var, *moments(self.prior(y), self.latent_dim))

    def elbo(self, x: Float[Tensor, "B *D"], y: Shaped[Tensor, "B *Y"]) -> Float[Tensor, "B"]:
        """One-sample estimate of the bound of log p(x|y), nats."""
        reconstruction, kl = self.terms(x, y)
        return -reconstruction - kl

    def decode(self, z: Float[Tensor, "B Z"], y: Shaped[Tensor, "B *Y"]) -> Distribution:
        """p(x|z,y); its `mean` is the picture of a code."""
        return self.likelihood(self.decoder(z, y))

    def draw(self, y: Shaped[Tensor, "B *Y"]) -> Float[Tensor, "B Z"]:
        """z ~ p(z|y) for each y."""
        if self.prior is None:
            return next(self.decoder.parameters()).new_empty(len(y), self.latent_dim).normal_()
        return reparameterise(*moments(self.prior(y), self.latent_dim))

    @torch.no_grad()
    def sample(self, n: int, y: Shaped[Tensor, "n *Y"] | None = None) -> Float[Tensor, "n *D"]:
        """A data point for each of n conditions: z ~ p(z|y), x ~ p(x|z,y).

        Raises:
            ValueError: no conditions, or not n of them.
        """
        if y is None or len(y) != n:
            raise ValueError(f"the model is conditional: it needs {n} conditions y to draw {n} data points, "
                             f"got {0 if y is None else len(y)}")
        return self.decode(self.draw(y), y).sample()


def with_condition(batch) -> tuple[Tensor, Tensor]:
    """x and y of a batch.

    Raises:
        ValueError: there is no y, or not one for each x.
    """
    if len(batch) < 2 or len(batch[1]) != len(batch[0]):
        raise ValueError("a conditional model is trained on batches (x, y): the conditions y are missing, "
                         "or are not as many as the examples")
    return batch[0], batch[1]


def kl_normal(mu: Float[Tensor, "*B Z"], log_var: Float[Tensor, "*B Z"], mu_p: Float[Tensor, "*B Z"],
              log_var_p: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B"]:
    """KL(N(mu, diag exp log_var) || N(mu_p, diag exp log_var_p)) in nats, in closed form."""
    ratio = log_var - log_var_p
    return 0.5 * ((mu - mu_p).square() / log_var_p.exp() + ratio.exp() - 1 - ratio).sum(-1)
