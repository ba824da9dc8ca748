"""Where a token stands: sinusoidal (Vaswani et al. 2017, arXiv 1706.03762) and rotary (Su et al. 2021, arXiv 2104.09864) positions.

    P(t, 2i) = sin(t / n^(2i/E)),   P(t, 2i+1) = cos(t / n^(2i/E)),   i = 0 .. E/2 - 1
    rotary: the pair (x_2i, x_2i+1) of a query or key at t is turned by the angle t / n^(2i/D), so that q_l . k_t depends on l - t only

The third kind, learned positions, is `nn.Embedding(context, E)`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from deepcanon.layers.precision import narrowed, widened


def sinusoidal(positions: Float[Tensor, "*T"], dim: int, base: float = 10_000.0) -> Float[Tensor, "*T {dim}"]:
    """The vector of each position (or time), sines and cosines in turn; dim even."""
    theta = angles(positions, dim, base)                                         # (*T, E/2)
    return narrowed(torch.stack([theta.sin(), theta.cos()], -1).flatten(-2), like=positions)


def rotary(x: Float[Tensor, "*B T D"], positions: Float[Tensor, "T"], base: float = 10_000.0) -> Float[Tensor, "*B T D"]:
    """Queries or keys turned by the angles of their positions; D even."""
    theta = angles(positions, x.shape[-1], base)                                 # (T, D/2)
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = [even * theta.cos() - odd * theta.sin(), even * theta.sin() + odd * theta.cos()]
    return narrowed(torch.stack(turned, -1).flatten(-2), like=x)


def angles(positions: Float[Tensor, "*T"], dim: int, base: float) -> Float[Tensor, "*T {dim}//2"]:
    """t / n^(2i/E) for i = 0 .. E/2 - 1, in float32 or float64: in 16 bits, hundreds have no fractions."""
    if dim % 2:
        raise ValueError(f"sines and cosines come in pairs: expected an even width, got {dim}")
    positions = widened(positions)
    exponent = torch.arange(0, dim, 2, dtype=positions.dtype, device=positions.device) / dim
    return positions[..., None] / base**exponent
