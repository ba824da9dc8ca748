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

from deepcanon.layers.contract import checked
from deepcanon.vae.vae import VAE, reparameterise


@checked
class IWAE(nn.Module):
    """A VAE trained on the bound of K importance samples; sampling, codes and likelihood are the VAE's own.

    Args:
        vae: encoder, decoder and likelihood; its beta is not used, its corruption is, in training.
        samples: K.
        doubly: train the encoder by the doubly reparameterised gradient.
    """

    likelihood_is = "bound"

    def __init__(self, vae: VAE, *, samples: int = 50, doubly: bool = True):
        super().__init__()
        self.vae, self.samples, self.doubly = vae, samples, doubly

    def loss(self, batch) -> Float[Tensor, ""]:
        """-L_K in nats an example."""
        x = batch[0]
        return -self.bound(x, seen=self.vae.corrupt(x) if self.vae.corrupt else x, doubly=self.doubly).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """The bound of one sample and that of K."""
        return {"elbo": self.vae.elbo(batch[0]), "bound": self.bound(batch[0])}

    def bound(self, x: Float[Tensor, "B *D"], *, seen: Float[Tensor, "B *D"] | None = None,
              doubly: bool = False) -> Float[Tensor, "B"]:
        """An estimate of L_K(x), nats; `seen` is what the encoder sees of x, all if not given."""
        return self.log_weights(x, seen=seen, doubly=doubly).logsumexp(0) - math.log(self.samples)

    def log_weights(self, x: Float[Tensor, "B *D"], *, seen: Float[Tensor, "B *D"] | None = None,
                    doubly: bool = False) -> Float[Tensor, "K B"]:
        """log w_k at K draws of q; their logsumexp has the plain gradient or the doubly reparameterised one."""
        mu, log_var = (t.repeat(self.samples, 1) for t in self.vae.posterior(x if seen is None else seen))                              # (K B, Z)
        z, shares = reparameterise(mu, log_var), []
        if doubly and z.requires_grad:                                           # before any reading of z
            z.register_hook(lambda grad: (shares[0] * grad).to(grad.dtype))      # v_k, beside logsumexp's own
        if doubly:
            mu, log_var = mu.detach(), log_var.detach()                          # z alone leads to the encoder
        eps_squared = (z - mu).square() / log_var.exp()
        log_ratio = 0.5 * (eps_squared + log_var - z.square()).sum(1)            # log p(z) - log q(z|x)
        log_likelihood = self.vae.log_likelihood(x.repeat(self.samples, *[1] * (x.ndim - 1)), z)
        log_weights = (log_likelihood + log_ratio).unflatten(0, (self.samples, -1))
        shares.append(log_weights.detach().softmax(0).flatten()[:, None])
        return log_weights

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
