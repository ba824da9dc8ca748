"""Variational bound of a diffusion model (Ho et al. 2020, arXiv 2006.11239, equations 5 to 8 and 13).

    -log p(x_0) <= L = L_T + sum_{t=2}^{T} L_{t-1} + L_0
    L_T     = KL( q(x_T | x_0) || N(0, I) )                               in closed form
    L_{t-1} = E_eps KL( q(x_{t-1} | x_t, x_0) || N(mu(x_t, x_0 hat), sigma_t^2) )    between two Gaussians, at one eps a time
    L_0     = -E_eps log p(x_0 | x_1),    the mass that N(x_0 hat, sigma_1^2) gives to the bin of each of 256 pixel values

x_0 hat is the denoiser's estimate from x_t. With SNR_t = abar_t / (1 - abar_t), and r the posterior variance over sigma_t^2,
L_{t-1} = r (SNR_{t-1} - SNR_t) / 2 E||x_0 - x_0 hat||^2 + (r - 1 - log r) / 2 a pixel: the simple loss with other weights, plus a constant.
B batch, L = T + 1 levels of abar.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from deepcanon.diffusion.samplers import Denoiser, Variance, forward_variance, posterior_mean, posterior_variance


@torch.no_grad()
def bound_terms(denoise: Denoiser, x_0: Float[Tensor, "B ..."], abar: Float[Tensor, "L"], *,
                variance: Variance = forward_variance) -> Float[Tensor, "L B"]:
    """L_0, L_1, ..., L_T in nats an example, at one draw of the noise at each time: T passes of the denoiser.

    Args:
        x_0: images in [-1, 1], of 256 values k / 127.5 - 1.
        variance: sigma_t^2 of the model; at t = 1 it is beta_1 in any case.
    """
    def at(t: int) -> tuple[Tensor, Tensor]:
        x_t = abar[t].sqrt() * x_0 + (1 - abar[t]).sqrt() * torch.randn_like(x_0)
        return x_t, denoise(x_t, torch.full((len(x_0),), t, device=x_0.device))

    terms = [-log_bin(x_0, at(1)[1], forward_variance(abar[1], abar[0]).sqrt()).flatten(1).sum(1)]
    for t in range(2, len(abar)):
        x_t, guess = at(t)
        right, ours = (posterior_mean(x_t, x, abar[t], abar[t - 1]) for x in (x_0, guess))
        terms.append(kl(right, posterior_variance(abar[t], abar[t - 1]), ours, variance(abar[t], abar[t - 1])))
    terms.append(kl(abar[-1].sqrt() * x_0, 1 - abar[-1], torch.zeros_like(x_0), torch.ones_like(abar[-1])))
    return torch.stack(terms)


def bits_per_dim(denoise: Denoiser, x_0: Float[Tensor, "B ..."], abar: Float[Tensor, "L"], *,
                 variance: Variance = forward_variance) -> Float[Tensor, "B"]:
    """The bound as an average number of bits for a pixel of 256 values."""
    return bound_terms(denoise, x_0, abar, variance=variance).sum(0) / (x_0[0].numel() * math.log(2))


def kl(mean_q: Float[Tensor, "B ..."], var_q: Float[Tensor, ""], mean_p: Float[Tensor, "B ..."], var_p: Float[Tensor, ""]) -> Float[Tensor, "B"]:
    """KL(N(mean_q, var_q I) || N(mean_p, var_p I)) in nats."""
    ratio = var_q / var_p
    return 0.5 * (ratio - 1 - ratio.log() + (mean_q - mean_p).square() / var_p).flatten(1).sum(1)


def log_bin(x: Float[Tensor, "B ..."], mean: Float[Tensor, "B ..."], sigma: Float[Tensor, ""]) -> Float[Tensor, "B ..."]:
    """log mass of N(mean, sigma^2) in the bin of width 2/255 around x in [-1, 1]; the first and the last bin reach to infinity."""
    upper = torch.where(x > 1 - 1e-3, torch.inf, (x + 1 / 255 - mean) / sigma)
    lower = torch.where(x < -1 + 1e-3, -torch.inf, (x - 1 / 255 - mean) / sigma)
    flip = lower > 0                                                             # the difference of two small tails, not of two ones
    lower, upper = torch.where(flip, -upper, lower), torch.where(flip, -lower, upper)
    log_upper, log_lower = torch.special.log_ndtr(upper), torch.special.log_ndtr(lower)
    return log_upper + torch.log1p(-(log_lower - log_upper).exp())
