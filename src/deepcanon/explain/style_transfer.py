"""Neural style transfer by optimisation (Gatys, Ecker & Bethge 2015, arXiv 1508.06576).

    x* = argmin_x  alpha L_content(x) + beta L_style(x),        x in [0, 1], by backpropagation to the pixels

With beta = 0 the content picture itself is the minimum, with alpha = 0 a texture of the style.
B batch, C channels, H x W pixels.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.explain.functional import differentiable, image_pixels, layer_of, tensor_of
from deepcanon.explain.style_losses import content_loss, gram, style_loss


def transfer_style(
    net: nn.Module,
    content: Shaped[Tensor, "B C H W"],
    style: Shaped[Tensor, "S C h w"],
    *,
    content_layer: nn.Module | str,
    style_layers: Sequence[nn.Module | str],
    content_weight: float = 1.0,
    style_weight: float = 1e3,
    start: Float[Tensor, "B C H W"] | None = None,
    rate: float = 0.02,
    steps: int = 200,
) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "T"]]:
    """Pictures with the content of some images and the style of another, by Adam.

    Args:
        net: takes pixels in [0, 1]; the pictures are clamped to them.
        content_layer, style_layers: modules of the net whose output are maps, or their names.
        content_weight, style_weight: alpha, for the content loss divided by the size of its layer, and beta.
        start: where x begins, by default the content.

    Returns:
        the pictures, and the total loss before each step and at the end.

    Raises:
        ValueError: no such layer, weights below 0 or all 0, pictures that are not finite.
    """
    weights = (content_weight, style_weight)
    if not (min(weights) >= 0 and max(weights) > 0 and steps >= 1 and rate > 0):
        raise ValueError(f"expected weights of 0 or more, not both 0, a rate above 0 and 1 step or more, got "
                         f"{content_weight}, {style_weight}, {rate} and {steps}")
    content, style = image_pixels(net, content), image_pixels(net, style)
    layers = [content_layer, *style_layers]
    with differentiable(net):
        with torch.no_grad():
            wanted = features(net, layers, content)[0]
            grams = [gram(f) for f in features(net, layers, style)[1:]]
        x = (content if start is None else image_pixels(net, start)).clone().requires_grad_()
        optimizer, history = torch.optim.Adam([x], rate), []
        for step in range(steps + 1):
            f, *maps = features(net, layers, x)
            loss = content_weight * content_loss(f, wanted) / f[0].numel()
            loss = loss + style_weight * style_loss(maps, grams)
            history.append(loss.detach().sum())
            if step < steps:
                (x.grad,) = torch.autograd.grad(loss.sum(), x)
                optimizer.step()
                with torch.no_grad():
                    x.clamp_(0, 1)
    return x.detach(), torch.stack(history)


def features(net: nn.Module, layers: Sequence[nn.Module | str], x: Float[Tensor, "B C H W"]) -> list[Tensor]:
    """What several layers give for x, in the order of `layers`.

    Raises:
        ValueError: a layer that is not of the net, or is not used.
    """
    found: dict[int, Tensor] = {}

    def keep(module: nn.Module, inputs: Any, output: Any) -> Tensor:
        found[id(module)] = tensor_of(module, output)
        return found[id(module)].clone()  # which a layer in place may change

    modules = [layer_of(net, layer) for layer in layers]
    handles = [module.register_forward_hook(keep) for module in {id(m): m for m in modules}.values()]
    try:
        net(x)
    finally:
        for handle in handles:
            handle.remove()
    if missing := next((m for m in modules if id(m) not in found), None):
        raise ValueError(f"the {type(missing).__name__} is not used when {type(net).__name__} is applied")
    return [found[id(m)] for m in modules]
