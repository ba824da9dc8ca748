"""Annealed Langevin dynamics (Song & Ermon 2019, arXiv 1907.05600): chains that follow the score of ever less noisy data.

    for sigma from large to small, n times:    x <- x - (eps / 2) sigma eps_theta(x, sigma) + sqrt(eps) sigma z,      z ~ N(0, I)

eps_theta = -sigma s(x, sigma) = (x - D(x, sigma)) / sigma is the noise that the denoiser D(x, sigma) = E[x_0 | x_0 + sigma z = x] sees in x:
a Langevin step of length eps sigma^2 / 2 along the score s. Much noise joins far modes, so that chains find their weights; plain ones do not.
B chains, D shape of a point, L noise levels.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Denoiser = Callable[[Tensor, Tensor], Tensor]  # x (B, *D), sigma (B,) -> E[x_0 | x], (B, *D)


@torch.no_grad()
def annealed_langevin(denoise: Denoiser, x: Float[Tensor, "B *D"], sigmas: Float[Tensor, "L"], *, steps: int = 5,
                      step_size: float = 0.2) -> Float[Tensor, "B *D"]:
    """The chains after `steps` steps at each of the sigmas, and one last step to the denoiser's estimate.

    Args:
        denoise: E[x_0 | x].
        x: where the chains are; from nothing, `sigmas[0]` times N(0, I).
        sigmas: falling.
        steps: n.
        step_size: eps, relative to sigma^2; at 2 a step would go to the denoiser's estimate.

    Raises:
        ValueError: sigmas that do not fall, no step, a step size that is not above 0.
    """
    if not ((sigmas.diff() < 0).all() and sigmas[-1] > 0 and sigmas[0].isfinite()):
        raise ValueError(f"expected noise levels that fall and stay above 0, got {sigmas.tolist()}")
    if steps < 1 or not step_size > 0:
        raise ValueError(f"expected one step or more and a step size above 0, got {steps} and {step_size}")
    for sigma in sigmas:
        for _ in range(steps):
            x = x - step_size / 2 * (x - denoise(x, sigma.expand(len(x)))) + step_size**0.5 * sigma * torch.randn_like(x)
    return denoise(x, sigmas[-1].expand(len(x)))


def geometric(largest: float, smallest: float, levels: int) -> Float[Tensor, "{levels}"]:
    """Noise levels with one ratio between neighbours, from large to small."""
    return torch.logspace(0, 1, levels, base=smallest / largest) * largest
