"""Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391).

    alpha_k = mean_ij dS / dA_kij,        L = max(sum_k alpha_k A_k, 0)

A are the maps of a late convolution, (B, C, h, w), or the tokens of a transformer, (B, N, E), whose patches
lie on a grid. Of a vision transformer the layer norm before the last attention is taken: behind that
attention the class token alone is read, so that the gradient of the patches is zero.
B batch, N tokens, E embedding, h x w positions.
"""

import math
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.explain.attention_weights import AttentionMode
from deepcanon.explain.functional import Target, image_pixels, layer_gradient, layer_of
from deepcanon.layers.modes import evaluating


def grad_cam(
    net: nn.Module,
    layer: nn.Module | str,
    x: Shaped[Tensor, "B C H W"],
    target: Target = None,
    *,
    grid: tuple[int, int] | None = None,
) -> Float[Tensor, "B h w"]:
    """Where the layer speaks for the score, at the resolution of the layer.

    Args:
        layer: a module of the net, or its name.
        target: as in `saliency`.
        grid: rows and columns of the tokens' patches; None: a square. Tokens before the patches, such as
            that of the class, are left out.

    Raises:
        ValueError: a layer whose output is neither maps nor tokens of such a grid, or tokens of which the
            score does not depend; input as in `saliency`.
    """
    a, slope = layer_gradient(net, layer, image_pixels(net, x), target)
    if a.ndim == 4 and normalizes(layer_of(net, layer)):
        a, slope = a.permute(0, 3, 1, 2), slope.permute(0, 3, 1, 2)  # (B, E, h, w)
    if a.ndim == 3:
        a, slope = (on_grid(t, grid) for t in (a, slope))
        if not slope.any():
            raise ValueError(
                "the score does not depend on the patches of this layer: of a vision transformer, take the "
                "layer norm before the last attention, or an earlier layer"
            )
    if a.ndim != 4:
        raise ValueError(f"expected a layer of maps (B, C, h, w) or tokens (B, N, E), got {tuple(a.shape)}")
    alpha = slope.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
    return (alpha * a).sum(1).relu()


def on_grid(tokens: Float[Tensor, "B N E"], grid: tuple[int, int] | None = None) -> Float[Tensor, "B E h w"]:
    """The patches of tokens as maps; a square grid is found where none is given.

    Raises:
        ValueError: fewer tokens than patches, or no square and no grid given.
    """
    n = tokens.shape[1]
    if grid is None:
        side = math.isqrt(n)
        if n - side * side not in (0, 1):
            raise ValueError(
                f"{n} tokens are no square of patches, nor one beside a class token: pass "
                "grid=(rows, columns)"
            )
        grid = side, side
    if grid[0] < 1 or grid[1] < 1 or grid[0] * grid[1] > n:
        raise ValueError(f"expected a grid of at most {n} patches, got {grid[0]} x {grid[1]}")
    return tokens[:, n - grid[0] * grid[1] :].transpose(1, 2).unflatten(2, grid)


def enlarged(maps: Float[Tensor, "B h w"], size: tuple[int, int]) -> Float[Tensor, "B H W"]:
    """Maps at the resolution of the image, bilinear."""
    return F.interpolate(maps[:, None].float(), size, mode="bilinear")[:, 0].to(maps.dtype)


def last_maps(net: nn.Module, x: Shaped[Tensor, "B C H W"]) -> str:
    """The layer that Grad-CAM takes where none is named.

    With attention, the norm of tokens before the last one. Else the last layer whose maps are as large as
    those of the last convolution: of residual nets the sum of the last block, of others what stands before
        the pooling.

    Raises:
        ValueError: a net with neither.
    """
    seen: list[tuple[str, nn.Module, torch.Size, int]] = []
    mode = AttentionMode()

    def note(name: str, module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            seen.append((name, module, output.shape, len(mode.maps)))

    handles = [m.register_forward_hook(partial(note, name)) for name, m in net.named_modules() if name]
    try:
        with evaluating(net), torch.no_grad(), mode:
            net(image_pixels(net, x)[:1])
    finally:
        for handle in handles:
            handle.remove()
    norms = [
        name
        for name, m, shape, before in seen
        if before < len(mode.maps) and normalizes(m) and len(shape) in (3, 4)
    ]
    if norms:
        return norms[-1]
    maps = [(name, m, shape[2:]) for name, m, shape, _ in seen if len(shape) == 4 and shape[2] * shape[3] > 1]
    sizes = [size for _, m, size in maps if isinstance(m, nn.Conv2d)]
    if not sizes:
        raise ValueError(f"{type(net).__name__} has no convolution with maps and no attention: name a layer")
    return [name for name, _, size in maps if size == sizes[-1]][-1]


def normalizes(layer: nn.Module) -> bool:
    """Whether a layer normalises the last axis, so that tokens or maps have their channels there."""
    return type(layer).__name__ in ("LayerNorm", "RMSNorm")
