"""Semi-supervised VAE, M2 (Kingma, Rezende, Mohamed & Welling 2014, arXiv 1406.5298): the class is a latent that is sometimes seen.

    p(x, y, z) = p(x|y,z) p(y) p(z),    p(y) = 1/K,    q(y, z|x) = q(y|x) q(z|x,y)

    y seen      log p(x, y) >= -L(x, y) = E_{q(z|x,y)}[log p(x|y,z)] + log p(y) - KL(q(z|x,y) || p(z))
    y unseen    log p(x)    >= sum_y q(y|x) (-L(x, y)) + H(q(y|x))
    and         - alpha log q(y|x) where y is seen, since the bound alone would not train q(y|x) there

The expectation over y is a sum, with a gradient through q(y|x) as it stands. A seen y is the case q(y|x) = 1, with H = 0.
B batch, D shape of a data point, K classes, Z latent.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution

from deepcanon.layers.checks import classes, of_shape
from deepcanon.layers.contract import checked
from deepcanon.layers.labels import UNLABELLED, correct, labelled_cross_entropy, partly_labelled, within
from deepcanon.vae.likelihoods import bernoulli, log_likelihood
from deepcanon.vae.vae import kl_standard_normal, moments, reparameterise


@checked
class SemiSupervisedVAE(nn.Module):
    """A generative model of classes and data that is a classifier, too.

    Args:
        encoder: (x (B, *D), y (B,)) -> (B, 2 Z), mean and log variance of q(z|x,y) side by side.
        decoder: (z (B, Z), y) -> the parameters of p(x|y,z).
        classifier: (B, *D) -> (B, K), logits of q(y|x).
        latent_dim: Z.
        num_classes: K.
        alpha: weight of the classifier's own loss.
        likelihood: decoder output -> distribution over data points (B, *D).
    """

    likelihood_is = "bound"

    def __init__(self, encoder: nn.Module, decoder: nn.Module, classifier: nn.Module, *, latent_dim: int, num_classes: int, alpha: float = 1.0,
                 likelihood: Callable[[Tensor], Distribution] = bernoulli):
        super().__init__()
        self.encoder, self.decoder, self.classifier = encoder, decoder, classifier
        self.latent_dim, self.num_classes, self.alpha, self.likelihood = latent_dim, num_classes, alpha, likelihood

    def loss(self, batch) -> dict[str, Tensor]:
        """Negative bound in nats an example and the cross-entropy of the labelled ones, of a batch (x, y) whose y is -1 where there is no label.

        Raises:
            ValueError: y is missing or outside -1 ... K - 1; data outside the support of the likelihood.
        """
        x, y = partly_labelled(batch)
        logits = self.logits(x)
        classification = labelled_cross_entropy(logits, y)
        bound = self.marginal(x, torch.where((y == UNLABELLED).unsqueeze(1), logits.log_softmax(1), certain(y, self.num_classes).to(logits)))
        return {"loss": -bound.mean() + self.alpha * classification, "bound": bound.mean(), "classification": classification}

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """The bound of log p(x), and whether the likeliest class is right; only examples with a label count in their means."""
        x, y = partly_labelled(batch)
        logits = self.logits(x)
        accuracy = correct(logits, within(y, self.num_classes))
        return {"elbo": self.marginal(x, logits.log_softmax(1)), "accuracy": accuracy, "weight": (y != UNLABELLED).float()}

    def logits(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B K"]:
        """Of q(y|x)."""
        return of_shape("logits", self.classifier(x), (len(x), self.num_classes))

    def marginal(self, x: Float[Tensor, "B *D"], log_q: Float[Tensor, "B K"]) -> Float[Tensor, "B"]:
        """sum_y q(y) (-L(x, y)) + H(q), nats, with one draw of z for each y."""
        B, K = log_q.shape
        log_q = log_q.clamp(min=-1_000)                                          # exp of it is 0, and 0 log 0 is 0
        q = log_q.exp()
        y = torch.arange(K, device=x.device).repeat_interleave(B)                # (K B,)
        bounds = self.joint(x.repeat(K, *[1] * (x.ndim - 1)), y).view(K, B).T    # -L(x, y), (B, K)
        return (q * (bounds - log_q)).sum(1)

    def joint(self, x: Float[Tensor, "B *D"], y: Int[Tensor, "B"]) -> Float[Tensor, "B"]:
        """One-sample estimate of the bound -L(x, y) of log p(x, y), nats."""
        mu, log_var = moments(self.encoder(x, y), self.latent_dim)
        p = self.decode(reparameterise(mu, log_var), y)
        return log_likelihood(p, x) - math.log(self.num_classes) - kl_standard_normal(mu, log_var)

    def decode(self, z: Float[Tensor, "B Z"], y: Int[Tensor, "B"]) -> Distribution:
        """p(x|y,z); its `mean` is the picture."""
        return self.likelihood(self.decoder(z, y))

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B K"]:
        """q(y|x)."""
        return self.logits(x).softmax(1)

    @torch.no_grad()
    def sample(self, n: int, y: Int[Tensor, "n"] | None = None) -> Float[Tensor, "n *D"]:
        """n data points, of the classes given or of each in turn."""
        z = next(self.decoder.parameters()).new_empty(n, self.latent_dim).normal_()
        return self.decode(z, torch.arange(n, device=z.device) % self.num_classes if y is None else classes(y, self.num_classes, n)).sample()


def certain(y: Int[Tensor, "B"], num_classes: int) -> Float[Tensor, "B K"]:
    """log of the distribution that is sure of y: 0 there, -inf elsewhere; for y = -1, of class 0."""
    return F.one_hot(y.clamp(min=0), num_classes).float().log()
