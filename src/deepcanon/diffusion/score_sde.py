"""A diffusion model in continuous time, with a likelihood (Song et al. 2021, arXiv 2011.13456).

    L = E_{x_0, eps, u ~ U[0, 1]} || target - net(x_t / sqrt(a^2 + s^2), 1000 t) ||^2,      x_t = a(t) x_0 + s(t) eps,     t = t_0 + (1 - t_0) u^p
    -log2 P(k) <= -log2 p(y) - D + D log2 L,    y = 2 (k + u) / L - 1,   u ~ U[0, 1]^D

Pixels of L levels k = 0 ... L - 1 are given as k / (L - 1) and learned as the density of y, spread over each level's cell
(uniform dequantisation, Theis et al. 2016, arXiv 1511.01844): the bits of y bound those of k.
The targets are DDPM's; B batch, D shape of an image or the number of its values.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.diffusion.ddpm import Prediction, velocity
from deepcanon.diffusion.divergence import Divergence, hutchinson
from deepcanon.diffusion.functional import pad
from deepcanon.diffusion.sde import SDE, heun, log_prob, vp
from deepcanon.layers.checks import of_shape, on_levels, shaped
from deepcanon.layers.contract import checked
from deepcanon.layers.precision import typed_as, widened

START = 1e-3                                                                     # t_0, where data are almost as they are


@checked
class ScoreSDE(nn.Module):
    """A continuous-time diffusion model over images in [0, 1].

    Args:
        net: (x (B, *D), 1000 t (B,)) -> (B, *D), the prediction.
        shape: D.
        sde: `vp()` or `ve()`.
        predict: what the net answers: `noise`, `data`, or `velocity`, which is for VP.
        levels: L of a pixel.
        sampler: (denoise, x_1, sde, times) -> x; `heun`, `reverse_sde` or `predictor_corrector`.
        steps: of the sampler and of the likelihood.
        power: p; 1 in the paper, and the larger, the more of the training is spent where there is little noise.

    Raises:
        ValueError: a power that is not above 0, fewer levels than two or steps than one, an SDE that does not lead from data to noise,
            `velocity` where a^2 + s^2 is not 1.
    """

    likelihood_is = "estimate"

    def __init__(self, net: nn.Module, shape: tuple[int, ...], *, sde: SDE | None = None, predict: Prediction = velocity, levels: int = 256,
                 sampler: Callable[..., Tensor] = heun, steps: int = 50, power: float = 1.0):
        super().__init__()
        if not power > 0:
            raise ValueError(f"expected a power of the training times above 0, got {power}")
        if levels < 2 or steps < 1:
            raise ValueError(f"expected two levels or more and one step or more, got {levels} and {steps}")
        self.net, self.shape, self.sde, self.predict = net, shape, leads_to_noise(vp() if sde is None else sde), predict
        if predict == velocity and not unit_variance(self.sde):
            raise ValueError("velocity turns data into noise where a^2 + s^2 = 1, which is not so for this SDE; expected predict=noise or data")
        self.levels, self.sampler, self.steps, self.power = levels, sampler, steps, power

    def loss(self, batch) -> Float[Tensor, ""]:
        """Mean squared error of the prediction, at times whose u are spread evenly over the batch."""
        return self.errors(self.dequantise(batch[0]), self.power).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """The same, an example, with p = 1."""
        return {"simple_loss": self.errors(self.dequantise(batch[0]), 1.0).flatten(1).mean(1)}

    def errors(self, x_0: Float[Tensor, "B *D"], power: float) -> Float[Tensor, "B *D"]:
        """Squared error of the prediction at one draw of the noise."""
        u = (torch.rand(1, device=x_0.device) + torch.arange(len(x_0), device=x_0.device) / len(x_0)) % 1
        t, eps = START + (1 - START) * u**power, torch.randn_like(x_0)
        a, s = self.scales(t, x_0)
        return (self.predict.target(x_0, eps, a, s) - self.answer(a * x_0 + s * eps, t)).square()

    def answer(self, x: Float[Tensor, "B *D"], t: Float[Tensor, "B"]) -> Float[Tensor, "B *D"]:
        """The net's prediction, of an input whose size does not change with t."""
        a, s = self.scales(t, x)
        answer = self.net(typed_as(self.net, x / (a.square() + s.square()).sqrt()), 1000 * t)
        return of_shape("the net's output", answer, x.shape).to(x.dtype)

    def denoise(self, x: Float[Tensor, "B *D"], t: Float[Tensor, "B"]) -> Float[Tensor, "B *D"]:
        """The estimate of x_0."""
        return self.predict.x_0(self.answer(x, t), x, *self.scales(t, x))

    def scales(self, t: Float[Tensor, "B"], like: Float[Tensor, "B *D"]) -> tuple[Tensor, Tensor]:
        """a(t) and s(t), (B, 1, ...)."""
        return pad(self.sde.scale(t), like), pad(self.sde.noise(t), like)

    @torch.no_grad()
    def sample(self, n: int, *, steps: int | None = None) -> Float[Tensor, "n *D"]:
        """n images of L levels in [0, 1]."""
        times = self.sde.times(steps or self.steps, START).flip(0)
        like = widened(next(self.net.parameters()))
        x_1 = self.sde.noise(times[0]).to(like) * torch.randn(n, *self.shape, dtype=like.dtype, device=like.device)
        cells = (self.sampler(self.denoise, x_1, self.sde, times) + 1) / 2 * self.levels
        return cells.floor().clamp(0, self.levels - 1) / (self.levels - 1)

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
        """The noise that the probability flow makes of images."""
        return heun(self.denoise, self.dequantise(x), self.sde, self.sde.times(self.steps, START))

    @torch.no_grad()
    def bits_per_dim(self, x: Float[Tensor, "B *D"], *, steps: int | None = None, divergence: Divergence = hutchinson) -> Float[Tensor, "B"]:
        """Bits a pixel of the probability flow's density for dequantised images; log2 L would be a uniform density's."""
        nats = log_prob(self.denoise, self.dequantise(x), self.sde, self.sde.times(steps or self.steps, START), divergence=divergence)
        return -nats / (math.prod(self.shape) * math.log(2)) - 1 + math.log2(self.levels)

    def dequantise(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
        """Images in [0, 1] to y in [-1, 1], uniform in each level's cell.

        Raises:
            ValueError: another shape, values outside [0, 1] or between the levels.
        """
        level = widened(on_levels(shaped(x, self.shape), self.levels)) * (self.levels - 1)
        return 2 * (level.round() + torch.rand_like(level)) / self.levels - 1


def leads_to_noise(sde: SDE) -> SDE:
    """The equation, refused if data of deviation 1 do not drown in its noise.

    Raises:
        ValueError: the data's share of the variance, a^2 / (a^2 + s^2), does not fall with time, or ends above 0.05.
    """
    a2, s2 = marginal(sde)
    share = a2 / (a2 + s2)
    if not ((share.diff() < 0).all() and share[-1] <= 0.05):
        raise ValueError(f"the SDE does not lead from data to noise: expected a share of the data in the variance that falls to 0.05 or less, "
                         f"got {share[0]:.3g} at first and {share[-1]:.3g} at last")
    return sde


def unit_variance(sde: SDE) -> bool:
    """Whether a^2 + s^2 is 1 at all times."""
    signal, noise = marginal(sde)
    return torch.allclose(signal + noise, torch.ones_like(signal))


def marginal(sde: SDE) -> tuple[Float[Tensor, "11"], Float[Tensor, "11"]]:
    """a^2 and s^2 at eleven times."""
    t = torch.linspace(START, 1, 11, dtype=torch.float64)
    return sde.scale(t).square(), sde.noise(t).square()
