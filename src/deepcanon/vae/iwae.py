"""Importance weighted autoencoder (Burda, Grosse & Salakhutdinov 2016, arXiv 1509.00519).

    L_K(x) = E[log 1/K sum_k w_k],    w_k = p(x|z_k) p(z_k) / q(z_k|x),    z_k ~ q(z|x)
    ELBO(x) = L_1 <= L_2 <= ... <= L_K -> log p(x)

A VAE trained on L_K may have a posterior that is no Gaussian: of K draws one good one is enough. Costs K times the decoder.
B batch, D shape of a data point, Z latent, K importance samples.
"""

import math

from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.vae.vae import VAE, reparameterise


class IWAE(nn.Module):
    """A VAE trained on the bound of K importance samples; sampling, codes and likelihood are the VAE's own.

    Args:
        vae: encoder, decoder and likelihood; its beta is not used.
        samples: K.
    """

    def __init__(self, vae: VAE, *, samples: int = 50):
        super().__init__()
        self.vae, self.samples = vae, samples

    def loss(self, batch) -> Float[Tensor, ""]:
        """-L_K in nats an example."""
        return -self.bound(batch[0]).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """The bound of one sample and that of K."""
        return {"elbo": self.vae.elbo(batch[0]), "bound": self.bound(batch[0])}

    def bound(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """An estimate of L_K(x), nats."""
        return self.log_weights(x).logsumexp(0) - math.log(self.samples)

    def log_weights(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "K B"]:
        """log w_k at K draws of q."""
        mu, log_var = (t.repeat(self.samples, 1) for t in self.vae.posterior(x))                              # (K B, Z)
        z = reparameterise(mu, log_var)
        eps_squared = (z - mu).square() / log_var.exp()
        log_ratio = 0.5 * (eps_squared + log_var - z.square()).sum(1)            # log p(z) - log q(z|x)
        log_likelihood = self.vae.log_likelihood(x.repeat(self.samples, *[1] * (x.ndim - 1)), z)
        return (log_likelihood + log_ratio).unflatten(0, (self.samples, -1))

    def log_prob(self, x: Float[Tensor, "B *D"], samples: int = 500) -> Float[Tensor, "B"]:
        """Importance-sampled log p(x) in nats."""
        return self.vae.log_prob(x, samples)

    def encode(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B Z"]:
        """The mean code of each data point."""
        return self.vae.encode(x)

    def reconstruct(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
        """The mean of p(x|z) at the mean code."""
        return self.vae.reconstruct(x)

    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n data points: z ~ p(z), x ~ p(x|z)."""
        return self.vae.sample(n)
