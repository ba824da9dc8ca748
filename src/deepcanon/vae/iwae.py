"""Importance weighted autoencoder (Burda, Grosse & Salakhutdinov 2016, arXiv 1509.00519).

    L_K(x) = E[log 1/K sum_k w_k],    w_k = p(x|z_k) p(z_k) / q(z_k|x),    z_k ~ q(z|x)
    ELBO(x) = L_1 <= L_2 <= ... <= L_K -> log p(x)

    dL_K/dphi = E[sum_k v_k^2 dlog w_k/dz_k dz_k/dphi],    v_k = w_k / sum_j w_j,    phi of the encoder, q held fixed inside w_k

The second form is the doubly reparameterised gradient (Tucker, Lawson, Gu & Maddison 2019, arXiv 1810.04152): of the same mean as the
plain one, whose signal drowns in noise as K grows.

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
        doubly: train the encoder by the doubly reparameterised gradient.
    """

    def __init__(self, vae: VAE, *, samples: int = 50, doubly: bool = True):
        super().__init__()
        self.vae, self.samples, self.doubly = vae, samples, doubly

    def loss(self, batch) -> Float[Tensor, ""]:
        """-L_K in nats an example."""
        if not self.doubly:
            return -self.bound(batch[0]).mean()
        x, (mu, log_var) = batch[0], self.posteriors(batch[0])
        z = reparameterise(mu, log_var)
        log_weights = self.ratio(x, z, mu.detach(), log_var.detach())
        if z.requires_grad:
            share = log_weights.detach().softmax(0).flatten()[:, None]
            z.register_hook(lambda grad: share * grad)                            # the bound's own gradient has one v_k already
        return (math.log(self.samples) - log_weights.logsumexp(0)).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """The bound of one sample and that of K."""
        return {"elbo": self.vae.elbo(batch[0]), "bound": self.bound(batch[0])}

    def bound(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """An estimate of L_K(x), nats."""
        return self.log_weights(x).logsumexp(0) - math.log(self.samples)

    def log_weights(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "K B"]:
        """log w_k at K draws of q."""
        mu, log_var = self.posteriors(x)
        return self.ratio(x, reparameterise(mu, log_var), mu, log_var)

    def posteriors(self, x: Float[Tensor, "B *D"]) -> tuple[Float[Tensor, "N Z"], Float[Tensor, "N Z"]]:
        """Mean and log variance of q(z|x), K times one below the other, N = K B."""
        mu, log_var = self.vae.posterior(x)
        return mu.repeat(self.samples, 1), log_var.repeat(self.samples, 1)

    def ratio(self, x: Float[Tensor, "B *D"], z: Float[Tensor, "N Z"], mu: Float[Tensor, "N Z"],
              log_var: Float[Tensor, "N Z"]) -> Float[Tensor, "K B"]:
        """log p(x|z) p(z) / q(z|x)."""
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
