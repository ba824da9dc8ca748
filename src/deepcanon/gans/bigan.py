"""Bidirectional GAN (Donahue et al. 2017, arXiv 1605.09782; Dumoulin et al. 2017, arXiv 1606.00704): an encoder that inverts the generator.

    discriminator:       min_D  E[l_D(D(x, E(x)), D(G(z), z))] + penalty
    generator, encoder:  min    E[l_D(D(G(z), z), D(x, E(x)))]      each aims at the other's verdict

When D cannot tell the two kinds of pairs apart, (x, E(x)) and (G(z), z) have one joint distribution, and E = G^{-1}.
B batch, D shape of a data point, Z latent.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from deepcanon.gans.functional import check
from deepcanon.gans.penalties import Penalty
from deepcanon.layers.checks import one_each
from deepcanon.layers.contract import checked
from deepcanon.layers.instance_noise import fade


@checked
class BiGAN(nn.Module):
    """A generator, its inverse, and a judge of pairs.

    Args:
        generator: (B, Z) -> (B, *D).
        encoder: (B, *D) -> (B, Z).
        discriminator: (B, N + Z) -> (B, 1), of the flattened data point with the latent behind it.
        latent_dim: Z.
        penalty: (D, pairs of data, pairs of the generator) -> what is added to the discriminator's loss; a zero-centred one lets the game converge.
    """

    def __init__(self, generator: nn.Module, encoder: nn.Module, discriminator: nn.Module, *, latent_dim: int, penalty: Penalty | None = None):
        super().__init__()
        self.generator, self.encoder, self.discriminator = generator, encoder, discriminator
        self.latent_dim, self.penalty = latent_dim, penalty

    def losses(self, batch) -> Iterator[tuple[str, Tensor]]:
        """One update each. Raises ValueError for data of another shape than the generator's, and for images outside [0, 1]."""
        z = torch.randn(len(batch[0]), self.latent_dim, dtype=batch[0].dtype, device=batch[0].device)
        with torch.no_grad():
            fake = self.generator(z)
            x = check(batch[0], fake)
            code = self.encoder(x)
        loss = (softplus(-self.score(x, code)) + softplus(self.score(fake, z))).mean()
        yield "discriminator", loss + self.penalty(self.discriminator, pair(x, code), pair(fake, z)) if self.penalty else loss
        yield "generator", softplus(-self.score(self.generator(z), z)).mean()
        yield "encoder", softplus(self.score(x, self.encoder(x))).mean()
        fade(self.discriminator)

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """How well E inverts G: the distance of E(G(z)) from z, over that of two latents."""
        z, other = torch.randn(2, len(batch[0]), self.latent_dim, dtype=batch[0].dtype, device=batch[0].device)
        return {"inversion_error": (self.encoder(self.generator(z)) - z).norm(dim=1) / (z - other).norm(dim=1).mean()}

    def score(self, x: Float[Tensor, "B *D"], z: Float[Tensor, "B Z"]) -> Float[Tensor, "B"]:
        """D(x, z)."""
        return one_each("scores", self.discriminator(pair(x, z)), len(x))

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B Z"]:
        """E(x)."""
        return self.encoder(x)

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n generated points."""
        return self.generator(next(self.generator.parameters()).new_empty(n, self.latent_dim).normal_())


def pair(x: Float[Tensor, "B *D"], z: Float[Tensor, "B Z"]) -> Float[Tensor, "B N"]:
    """A flattened data point with a latent behind it."""
    return torch.cat([x.flatten(1), z], 1)
