"""The gradient with respect to a soft attention mask.

    C_i = A_i B,        dL/dB = sum_i A_i dL/dC_i

A_i are the maps of a layer, B a mask over their positions that all of them share. At B = 1 the net is as it
was, and dL/dB says where more attention would raise L. Where L is a score, a positive value marks what
speaks for it; where L is a loss, descent lowers attention there.
N batch, C channels, h x w positions.
"""

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.explain.functional import Target, image_pixels, layer_gradient


def mask_gradient(a: Float[Tensor, "N C h w"], upstream: Float[Tensor, "N C h w"]) -> Float[Tensor, "N h w"]:
    """sum_i A_i dL/dC_i.

    Raises:
        ValueError: maps and gradients of other shapes.
    """
    if a.ndim != 4 or a.shape != upstream.shape:
        raise ValueError(
            f"expected maps (N, C, h, w) and gradients of that shape, got {tuple(a.shape)} and "
            f"{tuple(upstream.shape)}"
        )
    return (a * upstream).sum(1)


def attention_gradient(
    net: nn.Module, layer: nn.Module | str, x: Shaped[Tensor, "N C H W"], target: Target = None
) -> Float[Tensor, "N h w"]:
    """The gradient of each image's score with respect to a mask of ones on a layer's maps; `target` as in
    `saliency`."""
    return mask_gradient(*layer_gradient(net, layer, image_pixels(net, x), target))
