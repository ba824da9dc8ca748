"""Noise-conditional score network (Song & Ermon 2019, arXiv 1907.05600; 2020, arXiv 2006.09011; Vincent 2011).

    L = 1/L sum_i E_{x, z} || sigma_i s(x + sigma_i z, sigma_i) + z ||^2,      s(x, sigma) = -net(x / sqrt(1 + sigma^2), tau(sigma)) / sigma

so that the net predicts z, noise of one size at all levels. tau is where log sigma lies between its ends, from 0 to 1000. Samples come from
annealed Langevin chains. Images in [0, 1] are learned in [-1, 1].
B batch, D shape of a point, L noise levels.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.diffusion.annealed import annealed_langevin
from deepcanon.diffusion.functional import centred, falling, pad
from deepcanon.layers.checks import of_shape
from deepcanon.layers.contract import checked
from deepcanon.layers.precision import Float32Buffers, typed_as, widened


@checked
class NCSN(Float32Buffers, nn.Module):
    """A score of data at every noise level.

    Args:
        net: (x (B, *D), tau (B,)) -> (B, *D), the noise in x.
        shape: D.
        sigmas: the levels, from one that drowns the data to one that hardly shows, such as `geometric(10, 0.01, 20)`.
        sampler: (denoise, x, sigmas) -> x; `annealed_langevin`, or with its options set by `functools.partial`.
        bounded: the data are images in [0, 1]; else any points, learned as they are.

    Raises:
        ValueError: one level, levels that do not fall, or do not begin in noise.
    """

    sigmas: Tensor

    def __init__(self, net: nn.Module, shape: tuple[int, ...], *, sigmas: Float[Tensor, "L"],
                 sampler: Callable[..., Tensor] = annealed_langevin, bounded: bool = True):
        super().__init__()
        self.net, self.shape, self.sampler, self.bounded = net, shape, sampler, bounded
        self.register_buffer("sigmas", falling(sigmas).float(), persistent=False)

    def loss(self, batch) -> Float[Tensor, ""]:
        """Squared error of the noise a value, each example at a random level."""
        return self.errors(self.check(batch[0])).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """The same, an example."""
        return {"noise_error": self.errors(self.check(batch[0])).flatten(1).mean(1)}

    def errors(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
        """(sigma s(x + sigma z, sigma) + z)^2 at one draw of z and of the level."""
        sigma, z = self.sigmas[torch.randint(len(self.sigmas), (len(x),), device=x.device)], torch.randn_like(x)
        return (pad(sigma, x) * self.score(x + pad(sigma, x) * z, sigma) + z).square()

    def score(self, x: Float[Tensor, "B *D"], sigma: Float[Tensor, "B"]) -> Float[Tensor, "B *D"]:
        """grad log of the density of noisy data."""
        first, last = self.sigmas[0].log(), self.sigmas[-1].log()
        tau = 1000 * (sigma.log() - last) / (first - last)
        scaled = typed_as(self.net, x / (1 + pad(sigma, x).square()).sqrt())
        return -of_shape("the net's output", self.net(scaled, tau), x.shape).to(x.dtype) / pad(sigma, x)

    def denoise(self, x: Float[Tensor, "B *D"], sigma: Float[Tensor, "B"]) -> Float[Tensor, "B *D"]:
        """E[x_0 | x] = x + sigma^2 s(x, sigma) (Tweedie's formula)."""
        return x + pad(sigma, x).square() * self.score(x, sigma)

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n images in [0, 1], or n points."""
        x = self.sigmas[0] * self.sigmas.new_empty(n, *self.shape).normal_()
        x = self.sampler(self.denoise, x, self.sigmas)
        return ((x + 1) / 2).clamp(0, 1) if self.bounded else x

    def check(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
        """Images from [0, 1] to [-1, 1]; points as they are."""
        return centred(x, self.shape) if self.bounded else widened(x)
