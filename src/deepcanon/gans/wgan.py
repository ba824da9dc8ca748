"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, arXiv 1704.00028; Arjovsky et al. 2017, arXiv 1701.07875).

    critic:     min_D  E[D(G(z))] - E[D(x)] + lam * E[(||grad_u D(u)|| - 1)^2],    u = t x + (1 - t) G(z),  t ~ U[0, 1]
    generator:  min_G  -E[D(G(z))]

By Kantorovich-Rubinstein duality the critic's value, E[D(x)] - E[D(G(z))] over 1-Lipschitz D, is the distance W1(data, G).
B batch, D shape of a data point, Z latent.
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.gans.functional import check
from deepcanon.gans.penalties import between, off_one
from deepcanon.layers.checks import one_each
from deepcanon.layers.contract import checked
from deepcanon.layers.instance_noise import fade


@checked
class WGANGP(nn.Module):
    """A generator and a critic kept near slope one.

    Args:
        generator: (B, Z) -> (B, *D), a data point for each latent.
        critic: (B, *D) -> (B, 1) or (B,), without batch statistics: the penalty is per example.
        latent_dim: Z.
        critic_steps: critic updates for one of the generator.
        penalty: lam.
        where: (x, fake) -> the points u at which the slope is held at one: `between` them, or `at_data`.
        units: of points (B, N), what counts as one in each value, such as the deviations of the columns; by default 1.
    """

    def __init__(self, generator: nn.Module, critic: nn.Module, *, latent_dim: int, critic_steps: int = 5, penalty: float = 10.0,
                 where: Callable[[Tensor, Tensor], Tensor] = between, units: Float[Tensor, "N"] | None = None):
        super().__init__()
        self.generator, self.critic, self.units = generator, critic, units
        self.latent_dim, self.critic_steps, self.penalty, self.where = latent_dim, critic_steps, penalty, where

    def losses(self, batch) -> Iterator[tuple[str, Tensor]]:
        """The critic's updates, each on its own equal share of the batch, then the generator's.

        Raises:
            ValueError: fewer examples than critic updates, data of another shape than the generator's, images outside [0, 1].
        """
        x = batch[0]                                                             # (B, *D)
        if len(x) < self.critic_steps:
            raise ValueError(f"expected a batch of {self.critic_steps} examples or more, one for each critic update, got {len(x)}")
        for real in x.tensor_split(self.critic_steps):
            with torch.no_grad():
                fake = self.draw(real)
            slope = self.penalty * self.slope_penalty(check(real, fake), fake)   # first: a sharded critic wants its own pass last
            yield "critic", slope - self.distance(real, fake).mean()
        yield "generator", -self.score(self.draw(real)).mean()
        fade(self.critic)

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        return {"distance": self.distance(batch[0], self.draw(batch[0]))}

    def distance(self, x: Float[Tensor, "B *D"], fake: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """D(x) - D(fake) for each pair; its mean estimates W1(data, G) in the units of the data, or in `units`."""
        return self.score(x) - self.score(fake)

    def score(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B"]:
        """D(x)."""
        return one_each("scores", self.critic(x), len(x))

    def slope_penalty(self, x: Float[Tensor, "B *D"], fake: Float[Tensor, "B *D"]) -> Float[Tensor, ""]:
        """E[(||grad_u D(u)|| - 1)^2], differentiable in the critic."""
        u = self.where(x, fake)
        if self.units is None:
            return off_one(self.critic, u)
        unit = self.units.to(u)
        return off_one(lambda v: self.critic(v * unit), u / unit)

    def draw(self, like: Float[Tensor, "B ..."]) -> Float[Tensor, "B *D"]:
        """As many generated points as there are rows in `like`, on its device."""
        return self.generator(torch.randn(len(like), self.latent_dim, dtype=like.dtype, device=like.device))

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n generated points."""
        return self.draw(next(self.generator.parameters()).new_empty(n))
