"""Gradient saliency (Simonyan, Vedaldi & Zisserman 2014, arXiv 1312.6034; Erhan et al. 2009).

    of a class    dS_k / dx            S_k the logit of class k, before the softmax
    of a unit     da^l_mnp / dx        a^l_mnp one number of layer l: a one-hot signal there, carried back

The map of an image is the largest absolute value over its channels.
B batch, C channels, H x W pixels, D the shape of one input.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.explain.functional import (
    Target,
    activations,
    differentiable,
    gradient,
    input_gradient,
    pixels,
)


def saliency(net: nn.Module, x: Shaped[Tensor, "B *D"], target: Target = None) -> Float[Tensor, "B *D"]:
    """The gradient of each input's score with respect to the input.

    Args:
        net: (B, *D) -> logits (B, K), or (B,).
        x: floating-point values as the net takes them, or 8-bit images, which are divided by 255.
        target: a class, one class for each input (B,), a function of the output that returns one score an
            input, or None for the likeliest class.

    Raises:
        ValueError: values that are not finite, a class outside 0..K-1, an output of another shape, a score
            without a gradient.
        TypeError: no module, or whole numbers other than uint8.
    """
    x = pixels(net, x)
    with differentiable(net):
        return input_gradient(net, x, target)


def unit_gradient(
    net: nn.Module, layer: nn.Module | str, x: Shaped[Tensor, "B *D"], unit: tuple[int, ...]
) -> Float[Tensor, "B *D"]:
    """The gradient of one unit of a layer with respect to each input.

    Args:
        layer: a module of the net, or its name.
        unit: where the unit stands in the layer's output for one input, such as (channel, row, column).

    Raises:
        ValueError: no such layer, or a unit that it does not have.
    """
    x = pixels(net, x).clone().requires_grad_()
    with differentiable(net):
        a = activations(net, layer, x)
        if len(unit) != a.ndim - 1 or not all(0 <= i < size for i, size in zip(unit, a.shape[1:])):
            raise ValueError(f"expected a unit of a layer of shape {tuple(a.shape[1:])}, got {tuple(unit)}")
        return gradient(a[(slice(None), *unit)], x)


def saliency_map(attribution: Float[Tensor, "B C H W"]) -> Float[Tensor, "B H W"]:
    """The largest absolute value of each pixel's channels."""
    return attribution.abs().amax(1)


def in_unit_range(maps: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
    """Each map divided by its largest absolute value, so that it lies in [-1, 1]; a map of zeros stays
    zero."""
    peak = maps.abs().flatten(1).amax(1).view(-1, *[1] * (maps.ndim - 1))
    return torch.where(peak > 0, maps / peak.clamp(min=torch.finfo(maps.dtype).tiny), torch.zeros_like(maps))
