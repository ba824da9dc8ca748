"""Unrolled generative adversarial networks (Metz, Poole, Pfau & Sohl-Dickstein 2017, arXiv 1611.02163).

    theta_0 = D's weights,   theta_{i+1} = theta_i - eta grad_theta l_D(theta_i, G)
    generator:      min_G  l_G(theta_k(G), G),      differentiated through the k steps that D would take in answer
    discriminator:  min_D  l_D,  one ordinary step from theta_0

With k = 0 it is the plain GAN. A generator that looks ahead does not gather on one mode: D's answer would find it there. What theta_k says of the
data depends on G as well, so l_G must hold both scores: an objective whose generator looks at its own points alone rewards it for a D led astray.
B batch, D shape of a data point, Z latent.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from deepcanon.gans.functional import check
from deepcanon.gans.objectives import Objective, swapped
from deepcanon.layers.checks import one_each
from deepcanon.layers.contract import checked
from deepcanon.layers.instance_noise import fade
from deepcanon.layers.joint import batch_sum

Weights = dict[str, Tensor]


@checked
class UnrolledGAN(nn.Module):
    """A GAN whose generator looks k steps of the discriminator ahead.

    Args:
        generator: (B, Z) -> (B, *D).
        discriminator: (B, *D) -> (B, 1) or (B,), without batch statistics.
        latent_dim: Z.
        unroll: k.
        inner_lr: eta.
        objective: both players' losses, the generator's of both scores, as in `swapped` and `relativistic`.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, *, latent_dim: int, unroll: int = 5, inner_lr: float = 0.01,
                 objective: Objective = swapped):
        super().__init__()
        self.generator, self.discriminator, self.latent_dim = generator, discriminator, latent_dim
        self.unroll, self.inner_lr, self.objective = unroll, inner_lr, objective

    def losses(self, batch) -> Iterator[tuple[str, Tensor]]:
        """One update each. Raises ValueError for data of another shape than the generator's, and for images outside [0, 1]."""
        with torch.no_grad():
            fake = self.draw(batch[0])
        x = check(batch[0], fake)
        real, generated = (one_each("scores", self.discriminator(points), len(x)) for points in (x, fake))
        yield "discriminator", self.objective.discriminator(real, generated).mean()
        fake = self.draw(x)
        theta = self.ahead(x, fake)
        yield "generator", self.objective.generator(self.score(theta, x), self.score(theta, fake)).mean()
        fade(self.discriminator)

    def ahead(self, x: Float[Tensor, "B *D"], fake: Float[Tensor, "B *D"]) -> Weights:
        """theta_k, a function of `fake`, with copies of D's statistics, which looking ahead does not move."""
        theta: Weights = dict(self.discriminator.named_parameters())
        rest = {name: buffer.clone() for name, buffer in self.discriminator.named_buffers()}
        for _ in range(self.unroll):
            loss = self.objective.discriminator(self.score(theta | rest, x), self.score(theta | rest, fake)).sum()
            n = batch_sum(torch.tensor(len(x)))
            steps = [batch_sum(step) / n for step in torch.autograd.grad(loss, list(theta.values()), create_graph=True)]
            theta = {name: weight - self.inner_lr * step for (name, weight), step in zip(theta.items(), steps, strict=True)}
        return theta | rest

    def score(self, theta: Weights, x: Float[Tensor, "B *D"]) -> Tensor:
        """D(x) with the weights theta."""
        return one_each("scores", functional_call(self.discriminator, theta, (x,)), len(x))

    def draw(self, like: Float[Tensor, "B ..."]) -> Float[Tensor, "B *D"]:
        """As many generated points as there are rows in `like`, on its device."""
        return self.generator(torch.randn(len(like), self.latent_dim, dtype=like.dtype, device=like.device))

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n generated points."""
        return self.draw(next(self.generator.parameters()).new_empty(n))
