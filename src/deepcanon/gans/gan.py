"""Generative adversarial networks (Goodfellow et al. 2014, arXiv 1406.2661): a generator against a discriminator, whatever their objective.

    discriminator:  min_D  E[l_D(D(x), D(G(z)))] + penalty(D, x, G(z)),     then D <- constrain(D)
    generator:      min_G  E[l_G(D(x), D(G(z)))],                           z ~ N(0, I)

    objective l            penalty                    constrain      is
    minimax                                                          the game of the paper, max_D V = 2 JSD(p, p_G) - log 4
    non_saturating, hinge, least_squares                             their GANs; with `layers.spectral_norm` in D, SNGAN
    wasserstein                                       clip(c)        WGAN
    wasserstein            towards_one(10)                           WGAN-GP
    relativistic           zero_centred(gamma, gamma)                R3GAN

Instance noise (Sonderby et al. 2017, arXiv 1610.04490) and minibatch discrimination are layers of D, virtual batch normalisation is one of G.
B batch, D shape of a data point, Z latent.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.gans.functional import check
from deepcanon.gans.objectives import Objective, non_saturating
from deepcanon.gans.penalties import Penalty
from deepcanon.layers.checks import one_each
from deepcanon.layers.contract import checked
from deepcanon.layers.instance_noise import fade


@checked
class GAN(nn.Module):
    """A generator and a discriminator with one objective.

    Args:
        generator: (B, Z) -> (B, *D), a data point for each latent.
        discriminator: (B, *D) -> (B, 1) or (B,), a score; without batch statistics where a penalty is used.
        latent_dim: Z.
        objective: both players' losses.
        penalty: (D, x, G(z)) -> what is added to the discriminator's loss.
        constrain: changes D in place after each of its updates, such as `clip(0.01)`.
        discriminator_steps: its updates for one of the generator, each on its own share of the batch.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, *, latent_dim: int, objective: Objective = non_saturating,
                 penalty: Penalty | None = None, constrain: Callable[[nn.Module], None] | None = None, discriminator_steps: int = 1):
        super().__init__()
        self.generator, self.discriminator, self.latent_dim, self.objective = generator, discriminator, latent_dim, objective
        self.penalty, self.constrain, self.discriminator_steps = penalty, constrain, discriminator_steps

    def losses(self, batch) -> Iterator[tuple[str, Tensor]]:
        """The discriminator's updates, then the generator's.

        Raises:
            ValueError: fewer examples than discriminator updates, data of another shape than the generator's, images outside [0, 1].
        """
        if len(batch[0]) < self.discriminator_steps:
            raise ValueError(f"expected a batch of {self.discriminator_steps} examples or more, one for each update, got {len(batch[0])}")
        for x in batch[0].tensor_split(self.discriminator_steps):
            with torch.no_grad():
                fake = self.draw(x)
            x = check(x, fake)
            penalty = self.penalty(self.discriminator, x, fake) if self.penalty else 0
            yield "discriminator", penalty + self.objective.discriminator(self.score(x), self.score(fake)).mean()
            if self.constrain:
                self.constrain(self.discriminator)
        with torch.no_grad():
            real = self.score(x)
        yield "generator", self.objective.generator(real, self.score(self.draw(x))).mean()
        fade(self.discriminator)

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """What D tells of data and of as many generated points."""
        return {"score_data": self.score(batch[0]), "score_generated": self.score(self.draw(batch[0]))}

    def score(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """D(x)."""
        return one_each("scores", self.discriminator(x), len(x))

    def draw(self, like: Float[Tensor, "B ..."]) -> Float[Tensor, "B *D"]:
        """As many generated points as there are rows in `like`, on its device."""
        return self.generator(torch.randn(len(like), self.latent_dim, dtype=like.dtype, device=like.device))

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n generated points."""
        return self.draw(next(self.generator.parameters()).new_empty(n))


def clip(c: float = 0.01) -> Callable[[nn.Module], None]:
    """All weights into [-c, c], so that D has a bounded slope (Arjovsky et al. 2017, arXiv 1701.07875).

    Raises:
        ValueError: c that is not above 0.
    """
    if not c > 0:
        raise ValueError(f"expected weights to be clipped to a number above 0, got {c}")
    return partial(clamp_weights, c=c)


@torch.no_grad()
def clamp_weights(net: nn.Module, *, c: float) -> None:
    """All weights into [-c, c], in place."""
    for weight in net.parameters():
        weight.clamp_(-c, c)
