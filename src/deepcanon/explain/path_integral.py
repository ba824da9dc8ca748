"""Integrated gradients (Sundararajan, Taly & Yan 2017, arXiv 1703.01365).

    IG_i(x) = (x_i - x'_i) int_0^1 dS(x' + t (x - x')) / dx_i dt,        sum_i IG_i(x) = S(x) - S(x')

by Gauss-Legendre quadrature, exact for gradients that are polynomials of degree 2 N - 1 along the path. The
baseline x' is the input of which nothing is explained. For a net that takes pixels in [0, 1], 0 is black;
for a net that takes normalised pixels, 0 is the mean colour, and black is -mean / std.
B batch, N steps, D the shape of one input.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.explain.functional import Target, differentiable, input_gradient, pixels, settled
from deepcanon.layers.precision import widened

AT_ONCE = 2**18  # numbers of inputs that are run together: more do not fit the caches of a processor


def integrated_gradients(
    net: nn.Module,
    x: Shaped[Tensor, "B *D"],
    target: Target = None,
    *,
    baseline: float | Shaped[Tensor, "*E"] = 0.0,
    steps: int = 50,
) -> Float[Tensor, "B *D"]:
    """How much each number of the input adds to the score, above that of the baseline.

    Args:
        target: as in `saliency`; the likeliest class is that of x, all along the path.
        baseline: x', a number or a tensor that broadcasts to x, in the units of x.
        steps: N, gradients an input.

    Raises:
        ValueError: no step, a baseline of another shape or not finite; input as in `saliency`.
    """
    if steps < 1:
        raise ValueError(f"expected 1 step or more, got {steps}")
    x = pixels(net, x)
    start = baseline_of(net, x, baseline)
    target, (nodes, weights) = settled(net, x, target), gauss_legendre(steps)
    size = 1 if callable(target) else max(1, AT_ONCE // x.numel())  # points of the path that are run together
    total = torch.zeros_like(widened(x))
    with differentiable(net):
        for t, w in zip(nodes.split(size), weights.split(size)):
            column = t.to(x).view(-1, *[1] * x.ndim)  # (n, 1, 1, ...)
            path = start + column * (x - start)  # (n, B, *D)
            along = target.repeat(len(t)) if isinstance(target, Tensor) else target
            slope = input_gradient(net, path.flatten(0, 1), along).unflatten(0, (len(t), len(x)))
            total += (w.to(x).view_as(column) * slope).sum(0)
    return ((x - start) * total).to(x.dtype)


def baseline_of(net: nn.Module, x: Tensor, baseline: float | Tensor) -> Tensor:
    """The baseline in the shape of x."""
    start = torch.as_tensor(baseline, device=x.device)
    start = start.float() / 255 if start.dtype == torch.uint8 else start
    try:
        start = start.to(x.dtype).expand_as(x)
    except RuntimeError:
        raise ValueError(
            f"expected a baseline that broadcasts to {tuple(x.shape)}, got {tuple(start.shape)}"
        ) from None
    if not start.isfinite().all():
        raise ValueError("expected a baseline of finite values, got some that are nan or inf")
    return start


def gauss_legendre(steps: int) -> tuple[Float[Tensor, "N"], Float[Tensor, "N"]]:
    """Nodes and weights of the integral over [0, 1]: eigenvalues of the Jacobi matrix (Golub & Welsch
    1969)."""
    n = torch.arange(1, steps, dtype=torch.float64)
    off = n / (4 * n.square() - 1).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return (values + 1) / 2, vectors[0].square()
