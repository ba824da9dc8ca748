"""Paired image-to-image translation, pix2pix (Isola, Zhu, Zhou & Efros 2017, arXiv 1611.07004).

    discriminator:  min_D  E[l_D(D(x, y), D(x, G(x)))]                       x an image, y the image that it belongs to
    generator:      min_G  E[l_G(D(x, y), D(x, G(x)))] + lam E|y - G(x)|     |.| the mean over the pixels

L1 gets the coarse picture right and blurs what is uncertain; the discriminator, which sees input and output together and judges patches, sharpens it.
Noise enters, if at all, as dropout inside G.
B batch, C D channels, H W pixels.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.gans.objectives import Objective, non_saturating
from deepcanon.layers.checks import rows, unit
from deepcanon.layers.contract import checked
from deepcanon.layers.instance_noise import fade


@checked
class Pix2Pix(nn.Module):
    """A translator learned from pairs.

    Args:
        generator: images (B, C, H, W) -> images (B, D, H, W) in [0, 1].
        discriminator: (B, C + D, H, W), input and output one behind the other, -> scores (B, ...) of patches.
        l1: lam.
        objective: both players' losses, averaged over the patches.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, *, l1: float = 100.0, objective: Objective = non_saturating):
        super().__init__()
        self.generator, self.discriminator, self.l1, self.objective = generator, discriminator, l1, objective

    def losses(self, batch) -> Iterator[tuple[str, Tensor | dict[str, Tensor]]]:
        """One update each, on a batch (x, y) of pairs.

        Raises:
            ValueError: x or y is missing, or is no batch of images in [0, 1] of the generator's size.
        """
        x, y = self.pairs(batch)
        with torch.no_grad():
            fake = self.generator(x)
        if fake.shape != y.shape:
            raise ValueError(f"expected outputs {tuple(fake.shape)}, as the generator makes them, got {tuple(y.shape)}")
        yield "discriminator", self.objective.discriminator(self.score(x, y), self.score(x, fake)).mean()
        with torch.no_grad():
            real = self.score(x, y)
        fake = self.generator(x)
        adversarial, distance = self.objective.generator(real, self.score(x, fake)).mean(), (y - fake).abs().mean()
        yield "generator", {"loss": adversarial + self.l1 * distance, "adversarial": adversarial, "l1": distance}
        fade(self.discriminator)

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Mean absolute error of a pixel."""
        x, y = self.pairs(batch)
        return {"l1": (y - self.generator(x)).abs().flatten(1).mean(1)}

    def score(self, x: Float[Tensor, "B C H W"], y: Float[Tensor, "B D H W"]) -> Float[Tensor, "B *patches"]:
        """D(x, y)."""
        return rows("scores", self.discriminator(torch.cat([x, y], 1)), len(x))

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        """G(x)."""
        return self.generator(x)

    @staticmethod
    def pairs(batch) -> tuple[Tensor, Tensor]:
        """Two batches of images of one size."""
        if len(batch) < 2 or batch[0].ndim != 4 or batch[1].ndim != 4 or batch[0].shape[2:] != batch[1].shape[2:]:
            raise ValueError(f"expected pairs of images (B, C, H, W) of one size, got {[tuple(t.shape) for t in batch]}")
        return unit(batch[0]), unit(batch[1])
