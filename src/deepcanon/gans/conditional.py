"""Conditional generative adversarial networks (Mirza & Osindero 2014, arXiv 1411.1784): both players are conditioned on the class.

    discriminator:  min_D  E[l_D(D(x, y), D(G(z, y), y))] + penalty,      (x, y) data,  z ~ N(0, I)
    generator:      min_G  E[l_G(D(x, y), D(G(z, y), y))]

Each net conditions in its own way: `nets.conditional` joins the class to the input (Mirza & Osindero) or, in the discriminator, adds the projection
v_y . f(x) to the score (Miyato & Koyama 2018, arXiv 1802.05637), which is the form of a log density ratio between classes. BigGAN (Brock et al. 2019,
arXiv 1809.11096) is `nets.biggan` with the hinge objective, and draws z from a normal distribution cut off at a threshold: truer, less varied images.
B batch, D shape of a data point, Z latent, K classes.
"""

from collections.abc import Iterator
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.gans.functional import check, each_in_turn, labels
from deepcanon.gans.objectives import Objective, non_saturating
from deepcanon.gans.penalties import Penalty
from deepcanon.layers.checks import one_each
from deepcanon.layers.contract import checked
from deepcanon.layers.instance_noise import fade


@checked
class ConditionalGAN(nn.Module):
    """A generator and a discriminator of examples with classes.

    Args:
        generator: (z (B, Z), y (B,)) -> (B, *D).
        discriminator: (x (B, *D), y (B,)) -> (B, 1) or (B,).
        latent_dim: Z.
        num_classes: K.
        objective: both players' losses.
        penalty: (D(., y), x, G(z, y)) -> what is added to the discriminator's loss.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, *, latent_dim: int, num_classes: int, objective: Objective = non_saturating,
                 penalty: Penalty | None = None):
        super().__init__()
        self.generator, self.discriminator, self.latent_dim, self.num_classes = generator, discriminator, latent_dim, num_classes
        self.objective, self.penalty = objective, penalty

    def losses(self, batch) -> Iterator[tuple[str, Tensor]]:
        """One update each.

        Raises:
            ValueError: labels that are missing or outside 0 ... K - 1, data of another shape than the generator's, images outside [0, 1].
        """
        y = labels(batch, self.num_classes)
        with torch.no_grad():
            fake = self.draw(y)
        x, discriminate = check(batch[0], fake), partial(self.discriminate, y=y)
        penalty = self.penalty(discriminate, x, fake) if self.penalty else 0
        yield "discriminator", penalty + self.objective.discriminator(discriminate(x), discriminate(fake)).mean()
        with torch.no_grad():
            real = discriminate(x)
        yield "generator", self.objective.generator(real, discriminate(self.draw(y))).mean()
        fade(self.discriminator)

    def discriminate(self, x: Float[Tensor, "B *D"], y: Int[Tensor, "B"]) -> Float[Tensor, "B"]:
        """D(x, y)."""
        return one_each("scores", self.discriminator(x, y), len(x))

    def draw(self, y: Int[Tensor, "B"], truncation: float | None = None) -> Float[Tensor, "B *D"]:
        """A generated point of each class."""
        z = next(self.generator.parameters()).new_empty(len(y), self.latent_dim)
        return self.generator(normal_(z, truncation), y)

    @torch.no_grad()
    def sample(self, n: int, y: Int[Tensor, "N"] | None = None, *, truncation: float | None = None) -> Float[Tensor, "n *D"]:
        """n generated points, of the classes given or of each in turn; `truncation` is the largest |z_i|."""
        return self.draw(each_in_turn(n, y, self.num_classes, next(self.generator.parameters())), truncation)


def normal_(z: Float[Tensor, "*B"], truncation: float | None = None) -> Float[Tensor, "*B"]:
    """z filled from N(0, 1), or from N(0, 1) given |z| <= truncation: the inverse distribution function of a uniform number.

    Raises:
        ValueError: a threshold that is not above 0.
    """
    if truncation is None:
        return z.normal_()
    if not truncation > 0:
        raise ValueError(f"expected a truncation above 0, got {truncation}")
    inside = torch.special.ndtr(torch.tensor(truncation)).to(z)
    return z.copy_(torch.special.ndtri(z.uniform_() * (2 * inside - 1) + 1 - inside)).clamp_(-truncation, truncation)
