"""Denoising diffusion probabilistic models (Ho et al. 2020, arXiv 2006.11239; Sohl-Dickstein et al. 2015, arXiv 1503.03585).

    q(x_t | x_0) = N(sqrt(abar_t) x_0, (1 - abar_t) I):    x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps,    eps ~ N(0, I)
    L = E_{x_0, eps, t ~ U{1..T}} || target - net(x_t, t) ||^2,    target = eps,  or x_0,  or v = sqrt(abar_t) eps - sqrt(1 - abar_t) x_0

Sampling starts at x_T ~ N(0, I) and walks the times back to 0 (`samplers`). Data in [0, 1] is diffused in [-1, 1].
B batch, C H W image, T number of noise levels, t = 1 ... T; abar_0 = 1 is clean data; L = T + 1.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.diffusion.functional import centred, ends_in_noise
from deepcanon.diffusion.samplers import ancestral
from deepcanon.diffusion.schedules import linear_schedule, strided
from deepcanon.diffusion.variational_bound import bits_per_dim
from deepcanon.layers.checks import of_shape, on_levels
from deepcanon.layers.contract import checked
from deepcanon.layers.precision import Float32Buffers, typed_as


class Prediction(NamedTuple):
    """What the net answers. With a = sqrt(abar_t) and s = sqrt(1 - abar_t):"""

    target: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]   # (x_0, eps, a, s) -> the right answer
    x_0: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]      # (answer, x_t, a, s) -> x_0


def noise_target(x_0: Tensor, eps: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """eps."""
    return eps


def noise_to_data(eps: Tensor, x_t: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """x_0 = (x_t - s eps) / a."""
    return (x_t - s * eps) / a


def data_target(x_0: Tensor, eps: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """x_0."""
    return x_0


def data_to_data(x_0: Tensor, x_t: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """x_0."""
    return x_0


def velocity_target(x_0: Tensor, eps: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """v = a eps - s x_0 (Salimans & Ho 2022, arXiv 2202.00512)."""
    return a * eps - s * x_0


def velocity_to_data(v: Tensor, x_t: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """x_0 = a x_t - s v, since a^2 + s^2 = 1."""
    return a * x_t - s * v


noise = Prediction(noise_target, noise_to_data)
data = Prediction(data_target, data_to_data)
velocity = Prediction(velocity_target, velocity_to_data)


@checked
class DDPM(Float32Buffers, nn.Module):
    """A diffusion model over images with values in [0, 1]. Its arithmetic, but the net's, is in float32.

    Args:
        net: (x_t (B, C, H, W), t (B,)) -> (B, C, H, W), the prediction.
        shape: (C, H, W) of an image.
        abar: the schedule, T + 1 values from abar_0 = 1.
        predict: what the net answers: `noise`, `data` or `velocity`.
        sampler: (denoise, x_T, abar, times) -> x_0; `ancestral`, `ddim`, `dpm_solver`, or one with its options set by `functools.partial`.
        steps: of the sampler, T or fewer; all T if not given.

    Raises:
        ValueError: a schedule that does not end in noise, fewer steps than one or more than T.
    """

    likelihood_is = "bound"
    abar: Tensor

    def __init__(self, net: nn.Module, shape: tuple[int, ...], *, abar: Float[Tensor, "L"] | None = None, predict: Prediction = noise,
                 sampler: Callable[..., Tensor] = ancestral, steps: int | None = None):
        super().__init__()
        self.net, self.shape, self.predict, self.sampler = net, shape, predict, sampler
        self.register_buffer("abar", ends_in_noise(linear_schedule() if abar is None else abar).float(), persistent=False)
        self.T = len(self.abar) - 1
        self.steps = self.T if steps is None else steps
        strided(self.T, self.steps)                                              # which refuses more steps than times

    def loss(self, batch) -> Float[Tensor, ""]:
        """Mean squared error of the prediction, at times that are spread evenly over the batch (each is uniform)."""
        x_0 = self.check(batch[0])
        t = self.spread_times(torch.rand(1, device=x_0.device), len(x_0))
        eps, a, s = torch.randn_like(x_0), *self.scales(t)
        return (self.predict.target(x_0, eps, a, s) - self.answer(a * x_0 + s * eps, t)).square().mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """The paper's simple loss, squared error of the noise per pixel, on the same times and noise at every call."""
        x_0 = self.check(batch[0])
        fixed = torch.Generator(x_0.device).manual_seed(0)
        t = self.spread_times(torch.rand(1, device=x_0.device, generator=fixed), len(x_0))
        eps, a, s = torch.randn(x_0.shape, device=x_0.device, dtype=x_0.dtype, generator=fixed), *self.scales(t)
        x_t = a * x_0 + s * eps
        answer = (x_t - a * self.predict.x_0(self.answer(x_t, t), x_t, a, s)) / s
        return {"simple_loss": (eps - answer).square().flatten(1).mean(1)}

    def denoise(self, x_t: Float[Tensor, "B C H W"], t: Int[Tensor, "B"]) -> Float[Tensor, "B C H W"]:
        """The estimate of x_0, in [-1, 1]."""
        return self.predict.x_0(self.answer(x_t, t), x_t, *self.scales(t)).clamp(-1, 1)

    def answer(self, x_t: Float[Tensor, "B C H W"], t: Int[Tensor, "B"],
               *condition: Tensor) -> Float[Tensor, "B C H W"]:
        """What the net, in its own type, makes of x_t."""
        return of_shape("the net's output", self.net(typed_as(self.net, x_t), t, *condition), x_t.shape).to(x_t.dtype)

    @torch.no_grad()
    def sample(self, n: int, *, steps: int | None = None) -> Float[Tensor, "n C H W"]:
        """n images in [0, 1]."""
        times = strided(self.T, self.steps if steps is None else steps)
        return (self.sampler(self.denoise, self.abar.new_empty(n, *self.shape).normal_(), self.abar, times) + 1) / 2

    def bits_per_dim(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B"]:
        """An upper bound, in bits, on -log2 p of 8-bit images per value: T passes of the net, with one draw of noise each.

        Raises:
            ValueError: values between the 256 levels.
        """
        return bits_per_dim(self.denoise, self.check(on_levels(x, 256)), self.abar)

    def scales(self, t: Int[Tensor, "B"]) -> tuple[Tensor, Tensor]:
        """sqrt(abar_t) and sqrt(1 - abar_t), (B, 1, ...)."""
        abar = self.abar[t].view(-1, *[1] * len(self.shape))
        return abar.sqrt(), (1 - abar).sqrt()

    def spread_times(self, start: Tensor, n: int) -> Int[Tensor, "n"]:
        """n times in 1 ... T at even distances, in a circle, from a `start` in [0, 1) (Kingma et al. 2021, arXiv 2107.00630)."""
        return ((start + torch.arange(n, device=start.device) / n) % 1 * self.T).long() + 1

    def check(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Images from [0, 1] to [-1, 1]."""
        return centred(x, self.shape)
