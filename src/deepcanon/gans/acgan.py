"""Auxiliary classifier GAN (Odena, Olah & Shlens 2017, arXiv 1610.09585): the discriminator also names the class.

    L_S = softplus(-D(x)) + softplus(D(G(z, y)))                       which source
    L_C = -log p(y | x) - log p(y | G(z, y))                           which class
    discriminator:  min_D  L_S + w L_C,       generator:  min_G  softplus(-D(G(z, y))) - w log p(y | G(z, y))

B batch, D shape of a data point, Z latent, K classes.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.gans.functional import check, each_in_turn, labels
from deepcanon.gans.objectives import Objective, non_saturating
from deepcanon.gans.penalties import Penalty
from deepcanon.layers.checks import of_shape
from deepcanon.layers.contract import checked
from deepcanon.layers.instance_noise import fade
from deepcanon.layers.labels import cross_entropy


@checked
class ACGAN(nn.Module):
    """A generator conditioned on the class and a discriminator that predicts it.

    Args:
        generator: (z (B, Z), y (B,)) -> (B, *D).
        discriminator: (B, *D) -> (B, 1 + K), the score and the logits of the classes.
        latent_dim: Z.
        num_classes: K.
        weight: w.
        objective: of the source.
        penalty: (D, x, G(z, y)) -> what is added to the discriminator's loss.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, *, latent_dim: int, num_classes: int, weight: float = 1.0,
                 objective: Objective = non_saturating, penalty: Penalty | None = None):
        super().__init__()
        self.generator, self.discriminator, self.latent_dim, self.num_classes = generator, discriminator, latent_dim, num_classes
        self.weight, self.objective, self.penalty = weight, objective, penalty

    def losses(self, batch) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """One update each.

        Raises:
            ValueError: labels that are missing or outside 0 ... K - 1, data of another shape than the generator's, images outside [0, 1].
        """
        y = labels(batch, self.num_classes)
        with torch.no_grad():
            fake = self.draw(y)
        x = check(batch[0], fake)
        (real, real_class), (score, fake_class) = self.verdict(x), self.verdict(fake)
        source = self.objective.discriminator(real, score).mean()
        penalty = self.penalty(lambda u: self.verdict(u)[0], x, fake) if self.penalty else 0
        classification = cross_entropy(real_class, y) + cross_entropy(fake_class, y)
        yield "discriminator", {"loss": source + self.weight * classification + penalty, "source": source, "class": classification}
        with torch.no_grad():
            real, _ = self.verdict(x)
        score, fake_class = self.verdict(self.draw(y))
        source, classification = self.objective.generator(real, score).mean(), cross_entropy(fake_class, y)
        yield "generator", {"loss": source + self.weight * classification, "source": source, "class": classification}
        fade(self.discriminator)

    def verdict(self, x: Float[Tensor, "B *D"]) -> tuple[Tensor, Tensor]:
        """The score (B,) and the logits of the classes (B, K)."""
        answer = of_shape("scores and logits", self.discriminator(x), (len(x), 1 + self.num_classes))
        return answer[:, 0], answer[:, 1:]

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B K"]:
        """p(y | x)."""
        return self.verdict(x)[1].softmax(1)

    def draw(self, y: Int[Tensor, "B"]) -> Float[Tensor, "B *D"]:
        """A generated point of each class."""
        return self.generator(next(self.generator.parameters()).new_empty(len(y), self.latent_dim).normal_(), y)

    @torch.no_grad()
    def sample(self, n: int, y: Int[Tensor, "N"] | None = None) -> Float[Tensor, "n *D"]:
        """n generated points, of the classes given or of each in turn."""
        return self.draw(each_in_turn(n, y, self.num_classes, next(self.generator.parameters())))
