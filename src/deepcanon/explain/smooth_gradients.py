"""SmoothGrad (Smilkov et al. 2017, arXiv 1706.03825).

    M(x) = 1/N sum_i dS_k(x + eps_i) / dx,        eps_i ~ N(0, sigma^2 I)

B batch, N samples, D the shape of one input.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Generator, Tensor, nn

from deepcanon.explain.functional import Target, differentiable, input_gradient, pixels, settled
from deepcanon.layers.precision import widened


def smooth_grad(
    net: nn.Module,
    x: Shaped[Tensor, "B *D"],
    target: Target = None,
    *,
    sigma: float,
    samples: int = 25,
    generator: Generator | None = None,
) -> Float[Tensor, "B *D"]:
    """The mean gradient at noisy copies of each input.

    Args:
        target: as in `saliency`; the likeliest class is that of the input without noise.
        sigma: standard deviation of the noise in the units of x. The paper takes 0.1 to 0.2 of the range of
            x.
        samples: N.

    Raises:
        ValueError: sigma below 0, no sample; input as in `saliency`.
    """
    if not (sigma >= 0 and samples >= 1):
        raise ValueError(f"expected sigma of 0 or more and 1 sample or more, got {sigma} and {samples}")
    x = pixels(net, x)
    target = settled(net, x, target)
    with differentiable(net):
        total = torch.zeros_like(widened(x))
        for _ in range(samples):
            noise = torch.randn(x.shape, device=x.device, generator=generator).to(x.dtype)
            total += input_gradient(net, x + sigma * noise, target)
    return (total / samples).to(x.dtype)
