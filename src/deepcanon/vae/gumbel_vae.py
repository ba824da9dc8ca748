"""VAE with a discrete code, relaxed (Jang, Gu & Poole 2017, arXiv 1611.01144; Maddison, Mnih & Teh 2017,
arXiv 1611.00712).

    g_k = -log(-log u_k),  u_k ~ U[0, 1]:     argmax_k (l_k + g_k) = j  with probability softmax(l)_j
                                              (Gumbel 1954)
    z = softmax((l + g) / tau)                which is differentiable, and one-hot as tau -> 0
    log p(x) >= E_{q(z|x)}[log p(x|z)] - KL(q(z|x) || U),      KL = sum over N codes of log K - H(q)

The code of x is N categorical numbers of K values each, uniform and independent under the prior. Trained with
relaxed draws, whose gradients have less bias and more variance as tau falls; measured with one-hot draws, for
which the bound holds.
B batch, D shape of a data point, N codes, K values.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution

from deepcanon.layers.checks import finite
from deepcanon.layers.contract import checked
from deepcanon.vae.likelihoods import bernoulli, log_likelihood
from deepcanon.vae.schedule import Scheduled, value_at


@checked
class GumbelVAE(nn.Module):
    """A VAE with N categorical latents.

    Args:
        encoder: (B, *D) -> (B, N K), logits of q(z|x).
        decoder: (B, N K), N one-hot vectors side by side -> the parameters of p(x|z).
        num_codes: N.
        num_values: K.
        temperature: tau, a number or `Scheduled`.
        likelihood: decoder output -> distribution over data points (B, *D).
    """

    likelihood_is = "bound"

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, num_codes: int, num_values: int,
                 temperature: float | Scheduled = 0.5,
                 likelihood: Callable[[Tensor], Distribution] = bernoulli):
        super().__init__()
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.num_codes, self.num_values, self.temperature = num_codes, num_values, temperature

    def loss(self, batch) -> dict[str, Tensor]:
        """Negative relaxed bound in nats an example, with its two terms.

        Raises:
            ValueError: an encoder output that is not (B, N K); data outside the support of the likelihood.
        """
        x = batch[0]                                                             # (B, *D)
        logits = self.posterior(x)
        z = gumbel_softmax(logits, value_at(self.temperature))
        reconstruction = -self.log_likelihood(x, z).mean()
        kl = kl_uniform(logits).sum(1).mean()
        return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        return {"elbo": self.elbo(batch[0])}

    def posterior(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B N K"]:
        """Logits of q(z|x)."""
        logits = self.encoder(x)
        expected = (len(x), self.num_codes * self.num_values)
        if logits.shape != expected:
            raise ValueError(f"expected an encoder output of shape {expected}, got {tuple(logits.shape)}")
        return logits.unflatten(1, (self.num_codes, self.num_values))

    def elbo(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """One-sample estimate of the evidence lower bound of the discrete code, nats."""
        logits = self.posterior(x)
        z = F.one_hot(gumbel_max(logits), self.num_values).to(logits)
        return self.log_likelihood(x, z) - kl_uniform(logits).sum(1)

    def log_likelihood(self, x: Float[Tensor, "B *D"], z: Float[Tensor, "B N K"]) -> Float[Tensor, "B"]:
        """log p(x|z)."""
        return log_likelihood(self.likelihood(self.decoder(z.flatten(1))), x)

    def decode(self, codes: Int[Tensor, "B N"]) -> Distribution:
        """p(x|z) of these codes; its `mean` is their picture."""
        one_hot = F.one_hot(codes, self.num_values).to(next(self.decoder.parameters()))
        return self.likelihood(self.decoder(one_hot.flatten(1)))

    def prior(self, n: int) -> Int[Tensor, "n N"]:
        """n codes, each value equally likely."""
        device = next(self.decoder.parameters()).device
        return torch.randint(self.num_values, (n, self.num_codes), device=device)

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "B *D"]) -> Int[Tensor, "B N"]:
        """The likeliest code. Raises ValueError for logits that are not finite."""
        return finite(self.posterior(x)).argmax(-1)

    @torch.no_grad()
    def reconstruct(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
        """The mean of p(x|z) at the likeliest code."""
        return self.decode(self.encode(x)).mean

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n data points: z ~ p(z), x ~ p(x|z)."""
        return self.decode(self.prior(n)).sample()


def gumbel(like: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Draws of density exp(-x - exp(-x)), as many as there are values in `like`."""
    return -torch.empty_like(like).exponential_().log()


def gumbel_max(logits: Float[Tensor, "*B K"]) -> Int[Tensor, "*B"]:
    """A draw of softmax(logits)."""
    return (logits + gumbel(logits)).argmax(-1)


def gumbel_softmax(logits: Float[Tensor, "*B K"],
                   temperature: float | Float[Tensor, ""]) -> Float[Tensor, "*B K"]:
    """A relaxed draw, a point of the simplex that gradients pass through."""
    return ((logits + gumbel(logits)) / temperature).softmax(-1)


def kl_uniform(logits: Float[Tensor, "*B K"]) -> Float[Tensor, "*B"]:
    """KL(softmax(logits) || uniform) = log K - H, nats."""
    log_q = logits.log_softmax(-1)
    return math.log(logits.shape[-1]) + (log_q.exp() * log_q).sum(-1)
