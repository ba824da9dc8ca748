"""Conditional diffusion, of classes or of captions (Ho & Salimans 2022, arXiv 2207.12598; text to image: Ramesh et al. 2022, arXiv 2204.06125).

    L = E || target - net(x_t, t, c) ||^2,     c = encoder(y), or a learned vector that says nothing, for a share of the examples
    sampling: x_0(y) + w (x_0(y) - x_0),       x_0 the estimate without a condition

One net thus knows p(x | y) and p(x). The encoder is any module: `nn.Embedding` for labels, a text encoder for the words of a caption.
B batch, E width of the condition.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.diffusion.ddpm import DDPM
from deepcanon.diffusion.guidance import classifier_free
from deepcanon.diffusion.samplers import Denoiser
from deepcanon.diffusion.schedules import strided
from deepcanon.layers.checks import classes, of_shape
from deepcanon.layers.contract import checked


@checked
class ConditionalDDPM(nn.Module):
    """A diffusion model that can be asked for what it draws; batches are (x, y).

    Args:
        diffusion: a DDPM whose net takes (x_t, t, c), c (B, E).
        encoder: y (B, ...) -> (B, E).
        embed_dim: E.
        drop: share of the examples that are learned without their condition.
        weight: w.

    Raises:
        ValueError: a share outside (0, 1).
    """

    def __init__(self, diffusion: DDPM, encoder: nn.Module, *, embed_dim: int, drop: float = 0.1, weight: float = 1.0):
        super().__init__()
        if not 0 < drop < 1:
            raise ValueError(f"expected a share of dropped conditions in (0, 1), got {drop}")
        self.diffusion, self.encoder, self.drop, self.weight = diffusion, encoder, drop, weight
        self.nothing = nn.Parameter(torch.randn(embed_dim))

    def loss(self, batch) -> Float[Tensor, ""]:
        """Mean squared error of the prediction.

        Raises:
            ValueError: a batch without conditions.
        """
        if not isinstance(batch, tuple | list) or len(batch) < 2:
            raise ValueError("expected batches (x, y): a conditional model learns from the labels or captions of its images")
        d, (x, y) = self.diffusion, batch[:2]
        x_0, c = d.check(x), self.encode(y, len(x))
        t = d.spread_times(torch.rand(1, device=x.device), len(x))
        c = torch.where(torch.rand(len(x), 1, device=x.device) < self.drop, self.nothing, c)
        eps, a, s = torch.randn_like(x_0), *d.scales(t)
        return (d.predict.target(x_0, eps, a, s) - d.answer(a * x_0 + s * eps, t, c)).square().mean()

    def encode(self, y: Tensor, n: int) -> Float[Tensor, "n E"]:
        """The conditions of n images.

        Raises:
            ValueError: not one condition an image, a label that the embedding does not have.
        """
        if len(y) != n:
            raise ValueError(f"expected a condition for each of {n} images, got {len(y)}")
        c = self.encoder(classes(y, self.encoder.num_embeddings) if isinstance(self.encoder, nn.Embedding) else y)
        return of_shape("encoded conditions", c, (n, len(self.nothing)))

    def denoiser(self, c: Float[Tensor, "n E"]) -> Denoiser:
        """The denoiser of images under their conditions."""
        d = self.diffusion
        return lambda x, t: d.predict.x_0(d.answer(x, t, c), x, *d.scales(t)).clamp(-1, 1)

    @torch.no_grad()
    def sample(self, n: int, y: Tensor | None = None, *, weight: float | None = None) -> Float[Tensor, "n C H W"]:
        """n images in [0, 1]: of the conditions y, or of p(x) if none are given."""
        d = self.diffusion
        denoise = free = self.denoiser(self.nothing.expand(n, -1))
        if y is not None:
            denoise = classifier_free(self.denoiser(self.encode(y, n)), free, self.weight if weight is None else weight)
        x = d.sampler(denoise, d.abar.new_empty(n, *d.shape).normal_(), d.abar, strided(d.T, d.steps))
        return ((x + 1) / 2).clamp(0, 1)
