"""Guidance: denoisers and a sampler that make a diffusion model draw what is asked for. No model is trained here.

    classifier        grad log p(x_t | y) = grad log p(x_t) + w grad log p(y | x_t)                      (Dhariwal & Nichol 2021, arXiv 2105.05233)
                      hence x_0 + w (1 - abar_t) / sqrt(abar_t) grad log p(y | x_t) in place of x_0
    classifier-free   x_0(y) + w (x_0(y) - x_0)                                                          (Ho & Salimans 2022, arXiv 2207.12598)
    inpainting        at each step the known pixels are drawn from q(x_s | x_t, known), the others from the model; going back to t by adding noise,
                      a few times, lets the two agree                                                    (Lugmayr et al. 2022, arXiv 2201.09865)

Each denoiser is a function (x_t, t) -> x_0 like those that it is made of: any sampler takes it. B batch, L = T + 1 levels of abar, S times.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from deepcanon.diffusion.functional import pad
from deepcanon.diffusion.samplers import Denoiser, ancestral


def classifier_guided(denoise: Denoiser, log_prob: Callable[[Tensor, Tensor], Tensor], abar: Float[Tensor, "L"], weight: float = 1.0) -> Denoiser:
    """A denoiser under the condition y.

    Args:
        denoise: without condition.
        log_prob: (x_t (B, ...), t (B,)) -> log p(y | x_t) (B,), of a classifier that knows noisy images.
        abar: the schedule.
        weight: w; 1 is Bayes' rule, more prefers images of which the classifier is sure.
    """
    return partial(towards_class, denoise=denoise, log_prob=log_prob, abar=abar, weight=weight)


def towards_class(x: Tensor, t: Tensor, *, denoise: Denoiser, log_prob: Callable[[Tensor, Tensor], Tensor],
                  abar: Tensor, weight: float) -> Tensor:
    """x_0 + w (1 - abar_t) / sqrt(abar_t) grad log p(y | x_t)."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(log_prob(leaf, t).sum(), leaf)
    a = pad(abar[t], x)
    return denoise(x, t) + weight * (1 - a) / a.sqrt() * slope


def classifier_free(conditional: Denoiser, unconditional: Denoiser, weight: float = 1.0) -> Denoiser:
    """A denoiser pushed from what any image would be to what the condition asks for; `weight` 0 is the conditional one itself."""
    return partial(away_from_any, conditional=conditional, unconditional=unconditional, weight=weight)


def away_from_any(x: Tensor, t: Tensor, *, conditional: Denoiser, unconditional: Denoiser,
                  weight: float) -> Tensor:
    """x_0(y) + w (x_0(y) - x_0)."""
    asked = conditional(x, t)
    return asked + weight * (asked - unconditional(x, t)) if weight else asked


@torch.no_grad()
def inpaint(denoise: Denoiser, x: Float[Tensor, "B ..."], abar: Float[Tensor, "L"], times: Int[Tensor, "S"], *, known: Float[Tensor, "B ..."],
            mask: Bool[Tensor, "..."], rounds: int = 10) -> Float[Tensor, "B ..."]:
    """x at times[-1] from x at times[0], with the values of `known` wherever `mask` is true.

    Args:
        denoise: of whole images.
        known: images; what is outside the mask is not looked at.
        mask: of one image or of each.
        rounds: times that each step is taken.

    Raises:
        ValueError: fewer rounds than one.
    """
    if rounds < 1:
        raise ValueError(f"expected one round or more, got {rounds}")

    def filled(x: Tensor, t: Tensor) -> Tensor:
        return torch.where(mask, known, denoise(x, t))

    for t, s in pairwise(times):
        step = torch.stack([t, s])
        for _ in range(rounds - 1):
            before = ancestral(filled, x, abar, step)
            alpha = abar[t] / abar[s]
            x = alpha.sqrt() * before + (1 - alpha).sqrt() * torch.randn_like(x)
        x = ancestral(filled, x, abar, step)
    return x
