"""InfoGAN (Chen et al. 2016, arXiv 1606.03657): a code in the generator's input that can be read back from its output, found without labels.

    L_I = E_{c ~ U{1..K}, x' = G(z, c)}[log Q(c | x')] + H(c)  <=  I(c; G(z, c)),    H(c) = log K
    discriminator:  min_D  l_D(D(x), D(G(z, c)))
    reader:         max_Q  L_I
    generator:      min_G  l_G(D(x), D(G(z, c))) - lam L_I

The bound holds since KL(P(c | x) || Q(c | x)) >= 0, and equals H(c) if and only if every code can be decoded. Q reads D's features, or the data.
B batch, D shape of a data point, Z latent, K codes.
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.gans.functional import check, each_in_turn
from deepcanon.gans.objectives import Objective, non_saturating
from deepcanon.gans.penalties import Penalty
from deepcanon.layers.checks import of_shape, one_each
from deepcanon.layers.contract import checked
from deepcanon.layers.instance_noise import fade
from deepcanon.layers.labels import cross_entropy


@checked
class InfoGAN(nn.Module):
    """A generator whose categorical code means something.

    Args:
        generator: (z (B, Z), c (B,)) -> (B, *D).
        discriminator: (B, *D) -> (B, 1) or (B,).
        reader: (B, *D) -> (B, K), the logits of Q.
        latent_dim: Z.
        num_codes: K.
        weight: lam.
        objective: of the discriminator and the generator.
        penalty: (D, x, G(z, c)) -> what is added to the discriminator's loss.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, reader: nn.Module, *, latent_dim: int, num_codes: int, weight: float = 1.0,
                 objective: Objective = non_saturating, penalty: Penalty | None = None):
        super().__init__()
        self.generator, self.discriminator, self.reader, self.latent_dim, self.num_codes = generator, discriminator, reader, latent_dim, num_codes
        self.weight, self.objective, self.penalty = weight, objective, penalty

    def losses(self, batch) -> Iterator[tuple[str, Tensor]]:
        """One update each. Raises ValueError for data of another shape than the generator's, and for images outside [0, 1]."""
        c = self.codes(len(batch[0]))
        with torch.no_grad():
            fake = self.draw(c)
        x = check(batch[0], fake)
        penalty = self.penalty(self.discriminator, x, fake) if self.penalty else 0
        yield "discriminator", penalty + self.objective.discriminator(self.score(x), self.score(fake)).mean()
        yield "reader", -self.information(fake, c)
        with torch.no_grad():
            real = self.score(x)
        fake = self.draw(c)
        yield "generator", self.objective.generator(real, self.score(fake)).mean() - self.weight * self.information(fake, c)
        fade(self.discriminator)

    def score(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """D(x)."""
        return one_each("scores", self.discriminator(x), len(x))

    def information(self, x: Float[Tensor, "B *D"], c: Int[Tensor, "B"]) -> Float[Tensor, ""]:
        """L_I in nats, of points generated from the codes c; log K at most."""
        return math.log(self.num_codes) - cross_entropy(self.logits(x), c)

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B K"]:
        """Q(c | x)."""
        return self.logits(x).softmax(1)

    def logits(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B K"]:
        """Of the codes, as the reader sees them."""
        return of_shape("the reader's logits", self.reader(x), (len(x), self.num_codes))

    def codes(self, n: int) -> Int[Tensor, "n"]:
        """n codes, all equally likely."""
        return torch.randint(self.num_codes, (n,), device=next(self.generator.parameters()).device)

    def draw(self, c: Int[Tensor, "B"]) -> Float[Tensor, "B *D"]:
        """A generated point of each code."""
        return self.generator(next(self.generator.parameters()).new_empty(len(c), self.latent_dim).normal_(), c)

    @torch.no_grad()
    def sample(self, n: int, c: Int[Tensor, "N"] | None = None) -> Float[Tensor, "n *D"]:
        """n generated points, of the codes given or of each in turn."""
        return self.draw(each_in_turn(n, c, self.num_codes, next(self.generator.parameters())))
