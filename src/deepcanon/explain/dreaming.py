"""Deep Dream (Mordvintsev, Olah & Tyka 2015).

    x <- x + rate g / mean |g|,        g = d/dx 1/2 ||a^l(x)||^2 = (da/dx)' a

The signal sent back from layer l is its own activation: what it sees is made stronger. The image is moved
by a random number of pixels before each step and back after it. It is dreamt at several sizes, the smallest
first; what was added at one size is enlarged and added to the image at the next.
B batch, C channels, H x W pixels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Generator, Tensor, nn

from deepcanon.explain.functional import activations, differentiable, gradient, image_pixels


def dream(
    net: nn.Module,
    layer: nn.Module | str,
    x: Shaped[Tensor, "B C H W"],
    *,
    octaves: int = 3,
    scale: float = 1.4,
    steps: int = 10,
    rate: float = 0.01,
    jitter: int = 8,
    generator: Generator | None = None,
) -> Float[Tensor, "B C H W"]:
    """Images in [0, 1] in which the layer sees more of what it saw.

    Args:
        layer: a module of the net, or its name.
        octaves, scale: how many sizes, each `scale` times the one before, up to that of x. A net that takes
            one size of image needs octaves=1.
        steps: at each size.
        rate: mean change of a pixel in a step.
        jitter: pixels by which the image is moved, at most.

    Raises:
        ValueError: images outside [0, 1], or a setting that cannot be meant.
    """
    x = image_pixels(net, x)
    if x.min() < 0 or x.max() > 1:
        raise ValueError(f"expected images in [0, 1], got some from {x.min():.3g} to {x.max():.3g}")
    if not (octaves >= 1 and scale > 1 and steps >= 1 and rate > 0 and jitter >= 0):
        raise ValueError(
            f"expected octaves and steps of 1 or more, scale above 1, rate above 0 and jitter of 0 or more, "
            f"got {octaves}, {steps}, {scale}, {rate} and {jitter}"
        )
    added = torch.zeros_like(x)
    for size in octave_sizes((x.shape[2], x.shape[3]), octaves, scale):
        base = resized(x, size)
        dreamt = base + resized(added, size)
        for _ in range(steps):
            shift = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
            slope = moved(dream_gradient(net, layer, moved(dreamt, shift)), [-s for s in shift])
            mean = slope.abs().mean((1, 2, 3), keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
            dreamt = (dreamt + rate * slope / mean).clamp(0, 1)
        added = dreamt - base
    return (x + added).clamp(0, 1)


def dream_gradient(
    net: nn.Module, layer: nn.Module | str, x: Float[Tensor, "B C H W"]
) -> Float[Tensor, "B C H W"]:
    """d/dx 1/2 ||a(x)||^2: the activation of the layer, carried back to the image."""
    x = x.detach().clone().requires_grad_()
    with differentiable(net):
        return gradient(0.5 * activations(net, layer, x).square(), x)


def moved(x: Float[Tensor, "B C H W"], shift: Sequence[int]) -> Float[Tensor, "B C H W"]:
    """x moved down and right by so many pixels; what leaves on one side comes in on the other."""
    return x.roll(tuple(shift), (2, 3))


def octave_sizes(size: tuple[int, int], octaves: int, scale: float) -> list[tuple[int, int]]:
    """Height and width at each octave, the smallest first, `size` last."""
    return [
        (max(1, round(size[0] / scale**n)), max(1, round(size[1] / scale**n)))
        for n in reversed(range(octaves))
    ]


def resized(x: Float[Tensor, "B C H W"], size: tuple[int, int]) -> Float[Tensor, "B C h w"]:
    """x at another size, bilinear and antialiased."""
    if tuple(x.shape[2:]) == size:
        return x
    return F.interpolate(x.float(), size, mode="bilinear", antialias=True).to(x.dtype)
