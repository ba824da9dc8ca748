"""Variational inference without and with amortisation (Jordan et al. 1999, "An introduction to variational methods for graphical models").

    per point    q_i(z) = N(mu_i, diag sigma_i^2) for each of N data points:    theta <- theta + a grad_theta L_i,    then mu_i, sigma_i likewise
                 |theta| + 2 N Z numbers to learn
    amortised    q(z|x) from one net for all points: the VAE.    L(encoder(x)) <= max_{mu, sigma} L(mu, sigma; x) <= log p(x)

The first difference is the amortisation gap (Cremer, Li & Duvenaud 2018, arXiv 1801.03558): what one step of a net gives away for its speed.
L is the evidence lower bound. B batch, D shape of a data point, N data points, Z latent, M draws.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution

from deepcanon.layers.contract import checked
from deepcanon.vae.likelihoods import bernoulli, log_likelihood
from deepcanon.vae.vae import VAE, kl_standard_normal, reparameterise


@checked
class PerPointVI(nn.Module):
    """A decoder and a posterior of its own for each data point.

    Args:
        decoder: (B, Z) -> the parameters of p(x|z).
        num_points: N.
        latent_dim: Z.
        samples: M, draws of q_i a step.
        likelihood: decoder output -> distribution over data points (B, *D).
    """

    likelihood_is = "bound"

    def __init__(self, decoder: nn.Module, *, num_points: int, latent_dim: int, samples: int = 1,
                 likelihood: Callable[[Tensor], Distribution] = bernoulli):
        super().__init__()
        self.decoder, self.posteriors = decoder, nn.Embedding(num_points, 2 * latent_dim)
        nn.init.zeros_(self.posteriors.weight)                                   # q_i = p(z)
        self.latent_dim, self.samples, self.likelihood = latent_dim, samples, likelihood

    def losses(self, batch) -> Iterator[tuple[str, Tensor]]:
        """The decoder's update, then that of the posteriors, on a batch (x, i): data points and their numbers.

        Raises:
            ValueError: the numbers i are missing.
        """
        if len(batch) < 2:
            raise ValueError("a posterior for each point needs batches (x, i): the numbers i of the points are missing")
        yield "decoder", -self.elbo(*batch).mean()
        yield "posteriors", -self.elbo(*batch).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        return {"elbo": self.elbo(*batch)}

    def posterior(self, i: Int[Tensor, "B"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Mean and log variance of q_i."""
        mu, log_var = self.posteriors(i).chunk(2, 1)
        return mu, log_var

    def elbo(self, x: Float[Tensor, "B *D"], i: Int[Tensor, "B"]) -> Float[Tensor, "B"]:
        """An estimate of L_i by M draws, nats."""
        return bound(x, *self.posterior(i), self.decode, self.samples)

    def decode(self, z: Float[Tensor, "B Z"]) -> Distribution:
        """p(x|z)."""
        return self.likelihood(self.decoder(z))

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n data points: z ~ p(z), x ~ p(x|z)."""
        return self.decode(self.posteriors.weight.new_empty(n, self.latent_dim).normal_()).sample()


def bound(x: Float[Tensor, "B *D"], mu: Float[Tensor, "B Z"], log_var: Float[Tensor, "B Z"], decode: Callable[[Tensor], Distribution],
          samples: int) -> Float[Tensor, "B"]:
    """An estimate of the evidence lower bound by M draws of N(mu, diag exp log_var), nats."""
    many = partial(torch.repeat_interleave, repeats=samples, dim=0)
    p = decode(reparameterise(many(mu), many(log_var)))
    return log_likelihood(p, many(x)).unflatten(0, (-1, samples)).mean(1) - kl_standard_normal(mu, log_var)


def refine(vae: VAE, x: Float[Tensor, "B *D"], *, steps: int = 300, lr: float = 0.03,
           samples: int = 16) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
    """Mean and log variance of a posterior of its own for each x: from the encoder's, by Adam at a falling rate; the VAE stays as it is."""
    with torch.enable_grad():
        leaves = [t.detach().requires_grad_() for t in vae.posterior(x)]
        optimizer = torch.optim.Adam(leaves, lr)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
            loss = -bound(x, leaves[0], leaves[1], vae.decode, samples).sum()
            for leaf, slope in zip(leaves, torch.autograd.grad(loss, leaves), strict=True):
                leaf.grad = slope
            optimizer.step()
    mu, log_var = (leaf.detach() for leaf in leaves)
    return mu, log_var


@torch.no_grad()
def amortization_gap(vae: VAE, x: Float[Tensor, "B *D"], *, steps: int = 300, samples: int = 1_000) -> Float[Tensor, "B"]:
    """max over q of L(q; x), by `refine`, less L(encoder(x)), both by as many draws: 0 or more, nats."""
    best, amortized = (bound(x, mu, log_var, vae.decode, samples) for mu, log_var in (refine(vae, x, steps=steps), vae.posterior(x)))
    return best - amortized
