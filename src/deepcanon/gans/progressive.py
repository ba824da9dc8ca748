"""Progressive growing (Karras, Aila, Laine & Lehtinen 2018, arXiv 1710.10196): first small images, then, one after the other, doubled sides.

    stage s = 0, ..., S - 1, of T steps each;   from stage 1 on, alpha rises from 0 to 1 over the first half and the new layers fade in
    the data:   the mean of 2^(S-1-s) x 2^(S-1-s) pixels, faded in the same way

Both players learn the arrangement of an image before its details.
B batch, C channels, W W pixels, Z latent.
"""

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.gans.functional import check
from deepcanon.gans.objectives import Objective, non_saturating
from deepcanon.gans.penalties import Penalty, zero_centred
from deepcanon.layers.checks import one_each
from deepcanon.layers.contract import checked
from deepcanon.layers.instance_noise import fade

R1 = zero_centred(1.0)


@checked
class ProgressiveGAN(nn.Module):
    """Two players that grow together.

    Args:
        generator: (z (B, Z), stage, alpha) -> images of the stage's side.
        discriminator: (images, stage, alpha) -> scores (B,).
        latent_dim: Z.
        num_stages: S.
        stage_steps: T.
        objective: both players' losses.
        penalty: (D, x, G(z)) -> what is added to the discriminator's loss.
    """

    count: Tensor

    def __init__(self, generator: nn.Module, discriminator: nn.Module, *, latent_dim: int, num_stages: int, stage_steps: int,
                 objective: Objective = non_saturating, penalty: Penalty = R1):
        super().__init__()
        if num_stages < 1 or stage_steps < 1:
            raise ValueError(f"expected one stage or more, of one step or more, got {num_stages} and {stage_steps}")
        self.generator, self.discriminator, self.latent_dim = generator, discriminator, latent_dim
        self.num_stages, self.stage_steps, self.objective, self.penalty = num_stages, stage_steps, objective, penalty
        self.register_buffer("count", torch.tensor(0))

    def losses(self, batch) -> Iterator[tuple[str, Tensor]]:
        """One update each at the stage of the day, on images of full size. Raises ValueError for another size and for values outside [0, 1]."""
        stage, alpha = self.progress()
        with torch.no_grad():
            fake = self.draw(batch[0], stage, alpha)
        x, score = check(self.reduced(batch[0], stage, alpha), fake), partial(self.score, stage=stage, alpha=alpha)
        yield "discriminator", self.penalty(score, x, fake) + self.objective.discriminator(score(x), score(fake)).mean()
        with torch.no_grad():
            real = score(x)
        yield "generator", self.objective.generator(real, score(self.draw(x, stage, alpha))).mean()
        fade(self.discriminator)
        self.count += 1

    def score(self, x: Float[Tensor, "B C S S"], stage: int, alpha: float) -> Float[Tensor, "B"]:
        """D(x)."""
        return one_each("scores", self.discriminator(x, stage, alpha), len(x))

    def progress(self) -> tuple[int, float]:
        """The stage, and how far its layers are faded in."""
        stage, within = divmod(int(self.count), self.stage_steps)
        if stage >= self.num_stages:
            return self.num_stages - 1, 1.0
        return stage, min(1.0, 2 * within / self.stage_steps) if stage else 1.0

    def reduced(self, x: Float[Tensor, "B C W W"], stage: int, alpha: float) -> Float[Tensor, "B C S S"]:
        """The data as the stage sees them."""
        x = F.avg_pool2d(x, 2 ** (self.num_stages - 1 - stage))
        return x if alpha == 1 else (1 - alpha) * F.interpolate(F.avg_pool2d(x, 2), scale_factor=2.0) + alpha * x

    def draw(self, like: Float[Tensor, "B ..."], stage: int, alpha: float) -> Float[Tensor, "B C S S"]:
        """As many generated images as there are rows in `like`, on its device."""
        return self.generator(torch.randn(len(like), self.latent_dim, dtype=like.dtype, device=like.device), stage, alpha)

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n C S S"]:
        """n images of the present stage."""
        return self.draw(next(self.generator.parameters()).new_empty(n), *self.progress())
