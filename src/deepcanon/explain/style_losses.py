"""Losses of style and content (Gatys, Ecker & Bethge 2015, arXiv 1508.06576).

    G_km = E_ij[f_kij f_mij]                                    Gram matrix of a layer's features
    L_style = sum_l w_l sum_km (G^l_km - A^l_km)^2              A: of the style picture
    L_content = sum_kij (f_kij - c_kij)^2                       c: of the content picture

A Gram matrix is symmetric, has no negative eigenvalue, and does not change when positions trade places: it
keeps which features occur together, and not where. The content loss does keep where.
B batch, C channels, h x w positions.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from deepcanon.layers.precision import widened


def gram(f: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C C"]:
    """Mean products of the channels over the positions; of maps in 16 bits, in float32.

    Raises:
        ValueError: no maps (B, C, h, w).
    """
    if f.ndim != 4 or not f.shape[2] * f.shape[3]:
        raise ValueError(f"expected maps (B, C, h, w), got {tuple(f.shape)}")
    f = widened(f.flatten(2))  # (B, C, h w)
    return f @ f.mT / f.shape[2]


def style_loss(
    features: Sequence[Float[Tensor, "B _ _ _"]],
    style: Sequence[Float[Tensor, "S _ _"]],
    weights: Sequence[float] | None = None,
) -> Float[Tensor, "B"]:
    """Squared distance of the Gram matrices from those of the style, summed over layers.

    Args:
        features: maps of each layer.
        style: Gram matrices of the style picture at each layer, for one image or as many as B.
        weights: w_l, by default 1 / C^2 of each layer, which makes the sum over its entries their mean.

    Raises:
        ValueError: not one matrix and one weight a layer, or of other channels.
    """
    weights = [1 / f.shape[1] ** 2 for f in features] if weights is None else weights
    if not len(features) == len(style) == len(weights) or not features:
        raise ValueError(
            f"expected one Gram matrix and one weight a layer, got {len(features)} layers, "
            f"{len(style)} matrices "
            f"and {len(weights)} weights"
        )
    for f, a in zip(features, style):
        if a.ndim != 3 or a.shape[1:] != (f.shape[1], f.shape[1]) or len(a) not in (1, len(f)):
            raise ValueError(
                f"expected a Gram matrix (1 or {len(f)}, {f.shape[1]}, {f.shape[1]}), got {tuple(a.shape)}"
            )
    first, *others = (w * (gram(f) - a).square().sum((1, 2)) for f, a, w in zip(features, style, weights))
    return sum(others, start=first)


def content_loss(f: Float[Tensor, "B *F"], content: Float[Tensor, "B *F"]) -> Float[Tensor, "B"]:
    """Squared distance of a layer's features from those of the content picture.

    Raises:
        ValueError: features of another shape.
    """
    if f.shape != content.shape:
        raise ValueError(f"expected features of shape {tuple(content.shape)}, got {tuple(f.shape)}")
    return (f - content).square().flatten(1).sum(1)
