"""Class visualisation (Simonyan et al. 2014, arXiv 1312.6034; Yosinski et al. 2015, arXiv 1506.06579;
Mordvintsev 2015).

    u <- u + rate d/du (S_k(x_0 + u) - lam ||u||^2) / ||.||
    every few steps: blur u a little, set its small pixels to 0

S_k is the logit of class k, before the softmax: log p_k also rises where the other logits fall. The picture
is moved by a few pixels before each step and back after it, so that no pixel has a place of its own.
B batch, C channels, H x W pixels.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn

from deepcanon.explain.functional import differentiable, gradient, labels, logits_of, pixels


class Prior(NamedTuple):
    """What keeps a picture natural.

    Args:
        decay: lam.
        blur: standard deviation of the Gaussian blur, in pixels.
        every: steps between blurs.
        floor: share of the pixels, those of smallest change, that are set to zero with each blur.
        jitter: pixels by which the picture is moved, at most.
    """

    decay: float = 1e-3
    blur: float = 0.5
    every: int = 4
    floor: float = 0.1
    jitter: int = 1


NATURAL = Prior()


def class_visualization(
    net: nn.Module,
    target: int | Int[Tensor, "B"],
    start: Float[Tensor, "B C H W"],
    *,
    rate: float = 0.5,
    steps: int = 100,
    prior: Prior = NATURAL,
    after_softmax: bool = False,
    generator: Generator | None = None,
) -> Float[Tensor, "B C H W"]:
    """Pictures in [0, 1] that the net takes for a class.

    Args:
        target: one class, or one for each picture.
        start: x_0, such as an even grey of 0.5.
        rate: length of a step, as the norm of its change.
        after_softmax: maximise log p_k and not the logit, for comparison.

    Raises:
        ValueError: a start that is not in [0, 1], a class that is none, a prior that cannot be meant.
    """
    start = pixels(net, start)
    if start.ndim != 4 or start.min() < 0 or start.max() > 1:
        raise ValueError(
            f"expected a start of pictures (B, C, H, W) in [0, 1], got {tuple(start.shape)} from "
            f"{start.min():.3g} to {start.max():.3g}"
        )
    if not (prior.blur >= 0 and prior.every >= 1 and 0 <= prior.floor < 1 and prior.jitter >= 0):
        raise ValueError(
            f"expected blur and jitter of 0 or more, every of 1 or more and floor in [0, 1), got {prior}"
        )
    u = torch.zeros_like(start)
    with differentiable(net):
        for step in range(1, steps + 1):
            shift = torch.randint(-prior.jitter, prior.jitter + 1, (2,), generator=generator).tolist()
            u = u.detach().roll(shift, (2, 3)).requires_grad_()
            output = logits_of(net(start.roll(shift, (2, 3)) + u))
            logits = output.log_softmax(1) if after_softmax else output
            value = logits.gather(1, labels(output, target)[:, None])[:, 0] - prior.decay * u.square().sum(
                (1, 2, 3)
            )
            slope = gradient(value, u)
            norm = slope.flatten(1).norm(dim=1).clamp(min=torch.finfo(slope.dtype).tiny)
            u = (u + rate * slope / norm.view(-1, 1, 1, 1)).detach().roll([-s for s in shift], (2, 3))
            if step % prior.every == 0:
                u = without_small(blurred(u, prior.blur), prior.floor)
            u = (start + u).clamp(0, 1) - start
    return (start + u).detach()


def blurred(x: Float[Tensor, "B C H W"], sigma: float) -> Float[Tensor, "B C H W"]:
    """A Gaussian blur, the border pixels repeated outside."""
    radius = min(math.ceil(3 * sigma), x.shape[2] - 1, x.shape[3] - 1)
    if sigma == 0 or radius == 0:
        return x
    offset = torch.arange(-radius, radius + 1, dtype=torch.float32, device=x.device)
    weight = (-offset.square() / (2 * sigma**2)).exp()
    weight = (weight / weight.sum()).to(x.dtype)
    channels = x.shape[1]
    x = F.pad(x, (radius,) * 4, mode="replicate")
    x = F.conv2d(x, weight.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(x, weight.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


def without_small(u: Float[Tensor, "B C H W"], share: float) -> Float[Tensor, "B C H W"]:
    """u with its smallest pixels, by the norm over channels, set to zero: that share of each picture's
    pixels."""
    size = u.square().sum(1).flatten(1)  # (B, H W)
    count = round(share * size.shape[1])
    if count == 0:
        return u
    limit = size.kthvalue(count, dim=1).values.view(-1, 1, 1, 1)
    return torch.where(u.square().sum(1, keepdim=True) > limit, u, torch.zeros_like(u))
