"""VAE with several levels of latents (Rezende et al. 2014, arXiv 1401.4082; Sonderby et al. 2016, arXiv 1602.02282).

    p(x, z) = p(x|z_1) p(z_1|z_2) ... p(z_{L-1}|z_L) p(z_L),      q(z|x) = q(z_1|x) q(z_2|z_1) ... q(z_L|z_{L-1})
    log p(x) >= E_q[log p(x|z_1) + sum_{l<L} (log p(z_l|z_{l+1}) - log q(z_l|z_{l-1})) - KL(q(z_L|z_{L-1}) || p(z_L))],      z_0 = x

All conditionals are diagonal Gaussians, p(z_L) = N(0, I); the prior of z_1 is learned and no Gaussian. Only the last divergence has a closed form:
z_{l+1} is drawn after z_l, and the terms below it depend on both.
B batch, D shape of a data point, Z_l latents, L levels.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from deepcanon.layers.contract import checked
from deepcanon.vae.likelihoods import bernoulli, log_likelihood
from deepcanon.vae.vae import kl_standard_normal, moments, reparameterise


@checked
class HierarchicalVAE(nn.Module):
    """A VAE with a chain of latents.

    Args:
        inference: L nets, z_{l-1} -> (B, 2 Z_l), mean and log variance of q(z_l|z_{l-1}), from x upwards.
        generation: L nets, the first z_1 -> parameters of p(x|z_1), the others z_{l+1} -> (B, 2 Z_l), mean and log variance of p(z_l|z_{l+1}).
        latent_dims: Z_1 ... Z_L.
        likelihood: decoder output -> distribution over data points (B, *D).

    Raises:
        ValueError: not as many nets as levels.
    """

    likelihood_is = "bound"

    def __init__(self, inference: Sequence[nn.Module], generation: Sequence[nn.Module], *, latent_dims: Sequence[int],
                 likelihood: Callable[[Tensor], Distribution] = bernoulli):
        super().__init__()
        if not len(inference) == len(generation) == len(latent_dims) > 0:
            raise ValueError(f"expected as many nets as levels, got {len(inference)}, {len(generation)} and {len(latent_dims)}")
        self.inference, self.generation = nn.ModuleList(inference), nn.ModuleList(generation)
        self.latent_dims, self.likelihood = tuple(latent_dims), likelihood

    def loss(self, batch) -> Float[Tensor, ""]:
        """Negative bound in nats an example."""
        return -self.elbo(batch[0]).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        return {"elbo": self.elbo(batch[0])}

    def elbo(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """One-sample estimate of the bound, nats.

        Raises:
            ValueError: a net whose output is not (B, 2 Z_l); data outside the support of the likelihood.
        """
        below, z = x, []
        for net, dim in zip(self.inference, self.latent_dims, strict=True):
            mu, log_var = moments(net(below), dim)
            below = reparameterise(mu, log_var)
            z.append((below, mu, log_var))
        bound = log_likelihood(self.likelihood(self.generation[0](z[0][0])), x) - kl_standard_normal(*z[-1][1:])
        for net, dim, (here, mu, log_var), (above, *_) in zip(self.generation[1:], self.latent_dims, z[:-1], z[1:], strict=False):
            bound = bound + log_normal(here, *moments(net(above), dim)) - log_normal(here, mu, log_var)
        return bound

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n data points, from the top latent down."""
        z = next(self.parameters()).new_empty(n, self.latent_dims[-1]).normal_()
        for net, dim in reversed(list(zip(self.generation[1:], self.latent_dims, strict=False))):
            z = reparameterise(*moments(net(z), dim))
        return self.likelihood(self.generation[0](z)).sample()


def log_normal(z: Float[Tensor, "*B Z"], mu: Float[Tensor, "*B Z"], log_var: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B"]:
    """log N(z; mu, diag exp log_var), nats."""
    return -0.5 * ((z - mu).square() / log_var.exp() + log_var + math.log(2 * math.pi)).sum(-1)
