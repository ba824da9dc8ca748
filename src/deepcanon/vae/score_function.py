"""The bound's gradient by the score function (Ranganath, Gerrish & Blei 2014, arXiv 1401.0118; Mnih & Gregor 2014, arXiv 1402.0030).

    r(x, z) = log p(x|z) + log p(z),      L = E_{q(z|x)}[r(x, z)] + H(q(z|x))
    grad_phi E_q[r] = E_q[grad_phi log q(z|x) (r(x, z) - b)]  ~  1/M sum_j grad_phi log q(z_j|x) (r(x, z_j) - b_j)
    grad_theta E_q[r] ~ 1/M sum_j grad_theta r(x, z_j)

phi are the encoder's weights, theta the decoder's. No gradient passes through z, which may be discrete; the price is variance. b_j is the mean of r
over the other draws, which do not depend on z_j (Mnih & Rezende 2016, arXiv 1602.06725); with one draw it is 0. The entropy is in closed form.
B batch, D shape of a data point, Z latent, M draws.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from deepcanon.layers.checks import finite
from deepcanon.layers.contract import checked
from deepcanon.vae.likelihoods import bernoulli, log_likelihood

Family = Callable[[Tensor], Distribution]


@checked
class ScoreFunctionVAE(nn.Module):
    """A VAE with latents of any kind.

    Args:
        encoder: (B, *D) -> (B, P), parameters of q(z|x).
        decoder: (B, Z) -> the parameters of p(x|z).
        latent_dim: Z.
        posterior: encoder output -> distribution over codes (B, Z) with an entropy; `likelihoods.bernoulli` for bits, `gaussian_learned` for numbers.
        prior: zeros (B, Z) -> p(z); `likelihoods.bernoulli` for fair bits, `gaussian` for N(0, I).
        samples: M.
        likelihood: decoder output -> distribution over data points (B, *D).
    """

    likelihood_is = "bound"

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, latent_dim: int, posterior: Family = bernoulli, prior: Family = bernoulli,
                 samples: int = 8, likelihood: Family = bernoulli):
        super().__init__()
        self.encoder, self.decoder, self.latent_dim = encoder, decoder, latent_dim
        self.posterior, self.prior, self.samples, self.likelihood = posterior, prior, samples, likelihood

    def loss(self, batch) -> Float[Tensor, ""]:
        """Negative bound in nats an example, whose gradient is the estimate above."""
        return -self.elbo(batch[0]).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        return {"elbo": self.elbo(batch[0])}

    def elbo(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """An estimate of L(x) by M draws, nats.

        Raises:
            ValueError: data outside the support of the likelihood, an encoder's output that is not finite.
        """
        q = self.posterior(finite(self.encoder(x)))
        z = q.sample((self.samples,))                                            # (M, B, Z)
        r = torch.stack([self.log_joint(x, each) for each in z])                 # (M, B)
        log_q = q.log_prob(z)
        score = (log_q - log_q.detach()) * advantage(r.detach())                 # 0, with the gradient of log q (r - b)
        return (r + score).mean(0) + q.entropy()

    def log_joint(self, x: Float[Tensor, "B *D"], z: Float[Tensor, "B Z"]) -> Float[Tensor, "B"]:
        """r(x, z), nats."""
        return log_likelihood(self.decode(z), x) + self.prior(torch.zeros_like(z)).log_prob(z)

    def decode(self, z: Float[Tensor, "B Z"]) -> Distribution:
        """p(x|z)."""
        return self.likelihood(self.decoder(z))

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n data points: z ~ p(z), x ~ p(x|z)."""
        zeros = next(self.decoder.parameters()).new_zeros(n, self.latent_dim)
        return self.decode(self.prior(zeros).sample()).sample()


def advantage(r: Float[Tensor, "M B"]) -> Float[Tensor, "M B"]:
    """r_j less the mean of the others."""
    M = len(r)
    return r if M == 1 else (r - r.mean(0)) * M / (M - 1)
