"""Feature inversion (Mahendran & Vedaldi 2015, arXiv 1412.0035).

    x* = argmin_x  ||f(x) - f(x_0)||^2 / ||f(x_0)||^2 + lam sum_ij (|x_{i+1,j} - x_ij|^2 + |x_{i,j+1} -
    x_ij|^2)

What a layer keeps of an image shows in x*, what it has lost is made up. f is a layer of a net; x stays in
[0, 1]. B batch, C channels, H x W pixels.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.explain.functional import activations, differentiable, image_pixels


def invert_features(
    net: nn.Module,
    layer: nn.Module | str,
    x: Shaped[Tensor, "B C H W"],
    *,
    smoothness: float = 1e-3,
    rate: float = 0.05,
    steps: int = 200,
) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B"]]:
    """Images whose features are those of x, from an even grey, by Adam.

    Args:
        layer: a module of the net, or its name.
        smoothness: lam.

    Returns:
        the images, and the squared distance of their features over the squared norm, (B,).

    Raises:
        ValueError: no such layer, a smoothness below 0, no step or rate.
    """
    if not (smoothness >= 0 and rate > 0 and steps >= 1):
        raise ValueError(
            f"expected smoothness of 0 or more, a rate above 0 and 1 step or more, got "
            f"{smoothness}, {rate}, {steps}"
        )
    x = image_pixels(net, x)
    with differentiable(net):
        with torch.no_grad():
            wanted = activations(net, layer, x).detach()
        found = torch.full_like(x, 0.5).requires_grad_()
        optimizer = torch.optim.Adam([found], rate)
        for _ in range(steps):
            loss = feature_distance(activations(net, layer, found), wanted) + smoothness * roughness(found)
            (found.grad,) = torch.autograd.grad(loss.sum(), found)
            optimizer.step()
            with torch.no_grad():
                found.clamp_(0, 1)
        with torch.no_grad():
            return found.detach(), feature_distance(activations(net, layer, found), wanted)


def feature_distance(a: Float[Tensor, "B *F"], wanted: Float[Tensor, "B *F"]) -> Float[Tensor, "B"]:
    """||a - wanted||^2 / ||wanted||^2; of a layer that is silent, ||a||^2."""
    size = wanted.square().flatten(1).sum(1)
    return (a - wanted).square().flatten(1).sum(1) / torch.where(size > 0, size, torch.ones_like(size))


def roughness(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B"]:
    """The total variation: the sum of squared differences of neighbours."""
    return x.diff(dim=2).square().sum((1, 2, 3)) + x.diff(dim=3).square().sum((1, 2, 3))
