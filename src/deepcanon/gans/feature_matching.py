"""Feature matching (Salimans et al. 2016, arXiv 1606.03498): the generator aims at the mean of the data as the discriminator sees them.

    generator:      min_G  ||E[f(x)] - E[f(G(z))]||^2,    D = h o f,    f the discriminator up to its last activations
    discriminator:  as ever,  min_D  E[softplus(-D(x)) + softplus(D(G(z)))]

B batch, D shape of a data point, Z latent, F features.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.gans.functional import check
from deepcanon.gans.objectives import Objective, non_saturating
from deepcanon.layers.checks import one_each
from deepcanon.layers.contract import checked
from deepcanon.layers.instance_noise import fade
from deepcanon.layers.joint import batch_mean


def mean_distance(real: Float[Tensor, "B F"], fake: Float[Tensor, "B F"]) -> Float[Tensor, ""]:
    """Squared distance of the two means; the first is a goal and gets no gradient."""
    return (batch_mean(real.detach()) - batch_mean(fake)).square().sum()


@checked
class FeatureMatchingGAN(nn.Module):
    """A GAN whose generator matches features.

    Args:
        generator: (B, Z) -> (B, *D).
        discriminator: a sequence of layers, (B, *D) -> (B, 1); the output of all but the last are the features.
        latent_dim: Z.
        objective: of the discriminator.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Sequential, *, latent_dim: int, objective: Objective = non_saturating):
        super().__init__()
        self.generator, self.discriminator, self.latent_dim, self.objective = generator, discriminator, latent_dim, objective

    def losses(self, batch) -> Iterator[tuple[str, Tensor]]:
        """One update each. Raises ValueError for data of another shape than the generator's, and for images outside [0, 1]."""
        with torch.no_grad():
            fake = self.draw(batch[0])
        x = check(batch[0], fake)
        yield "discriminator", self.objective.discriminator(self.score(x), self.score(fake)).mean()
        with torch.no_grad():
            goal = self.features(x)
        yield "generator", mean_distance(goal, self.features(self.draw(x)))
        fade(self.discriminator)

    def score(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """D(x)."""
        return one_each("scores", self.discriminator(x), len(x))

    def features(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B F"]:
        """f(x)."""
        return self.discriminator[:-1](x).flatten(1)

    def draw(self, like: Float[Tensor, "B ..."]) -> Float[Tensor, "B *D"]:
        """As many generated points as there are rows in `like`, on its device."""
        return self.generator(torch.randn(len(like), self.latent_dim, dtype=like.dtype, device=like.device))

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n generated points."""
        return self.draw(next(self.generator.parameters()).new_empty(n))
