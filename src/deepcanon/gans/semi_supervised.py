"""Semi-supervised GAN (Salimans et al. 2016, arXiv 1606.03498): what is generated is a class of its own, number K + 1.

    p(y | x) = exp l_y(x) / (1 + Z(x)),   p(fake | x) = 1 / (1 + Z(x)),   Z = sum_{y=1..K} exp l_y        the logit of `fake` is 0
    discriminator:  -log p(y | x, y <= K)  on labelled data,   -log(1 - p(fake | x))  on all data,   -log p(fake | G(z))
    generator:      ||E[f(x)] - E[f(G(z))]||^2,  feature matching

With D(x) = log Z(x) the last two terms are softplus(-D(x)) and softplus(D(G(z))), a GAN's. Data without labels so show the classifier where data are.
B batch, D shape of a data point, Z latent, K classes, F features.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from deepcanon.gans.feature_matching import mean_distance
from deepcanon.gans.functional import check
from deepcanon.layers.contract import checked
from deepcanon.layers.instance_noise import fade
from deepcanon.layers.labels import UNLABELLED, correct, labelled_cross_entropy, partly_labelled, within


@checked
class SemiSupervisedGAN(nn.Module):
    """A classifier that learns from few labels, many examples, and a generator.

    Args:
        generator: (B, Z) -> (B, *D).
        classifier: a sequence of layers, (B, *D) -> (B, K) logits; the output of all but the last are the features.
        latent_dim: Z.
    """

    def __init__(self, generator: nn.Module, classifier: nn.Sequential, *, latent_dim: int):
        super().__init__()
        self.generator, self.classifier, self.latent_dim = generator, classifier, latent_dim

    def losses(self, batch) -> Iterator[tuple[str, Tensor]]:
        """One update each, on a batch (x, y) whose y is -1 where there is no label.

        Raises:
            ValueError: no labels, some outside -1 ... K - 1, data of another shape than the generator's, images outside [0, 1].
        """
        x, y = partly_labelled(batch)
        with torch.no_grad():
            fake = self.draw(x)
        logits = self.classifier(check(x, fake))
        classification = labelled_cross_entropy(logits, y)
        yield "classifier", classification + (softplus(-logits.logsumexp(1)) + softplus(self.score(fake))).mean()
        with torch.no_grad():
            goal = self.features(x)
        yield "generator", mean_distance(goal, self.features(self.draw(x)))
        fade(self.classifier)

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Whether the likeliest class is right; only examples with a label count in its mean."""
        x, y = partly_labelled(batch)
        logits = self.classifier(x)
        return {"accuracy": correct(logits, within(y, logits.shape[1])), "weight": (y != UNLABELLED).float()}

    def score(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """D(x) = log Z(x), the log odds that x is no fake."""
        return self.classifier(x).logsumexp(1)

    def features(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B F"]:
        """f(x)."""
        return self.classifier[:-1](x).flatten(1)

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B K"]:
        """p(y | x, y <= K)."""
        return self.classifier(x).softmax(1)

    @torch.no_grad()
    def probabilities(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B L"]:
        """p of the K classes and, last, of `fake`; they sum to 1."""
        logits = self.classifier(x)
        return torch.cat([logits, torch.zeros_like(logits[:, :1])], 1).softmax(1)

    def draw(self, like: Float[Tensor, "B ..."]) -> Float[Tensor, "B *D"]:
        """As many generated points as there are rows in `like`, on its device."""
        return self.generator(torch.randn(len(like), self.latent_dim, dtype=like.dtype, device=like.device))

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n generated points."""
        return self.draw(next(self.generator.parameters()).new_empty(n))
