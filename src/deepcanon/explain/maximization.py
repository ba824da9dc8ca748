"""Activation maximisation (Erhan et al. 2009; Yosinski et al. 2015, arXiv 1506.06579).

    x* = argmax_x S(x) - lam ||x||^2,        x <- x + rate d/dx (S(x) - lam ||x||^2)

The penalty is subtracted: of a linear unit S(x) = w'x the maximum is x* = w / (2 lam). With lam = 0 there
is none, and with the other sign ||x|| grows the faster.
B batch, D the shape of one input, T steps.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from deepcanon.layers.checks import finite


def maximize(
    score: Callable[[Tensor], Tensor],
    x: Float[Tensor, "B *D"],
    *,
    rate: float,
    steps: int,
    decay: float = 0.0,
) -> tuple[Float[Tensor, "B *D"], Float[Tensor, "T B"]]:
    """Gradient ascent from x.

    Args:
        score: (B, *D) -> (B,), one number an input; see `unit_score` for a unit of a net.
        rate: of a step.
        steps: T - 1.
        decay: lam; below 0 it rewards large x, and diverges.

    Returns:
        x at the end, and S(x) before each step and at the end, (T, B).

    Raises:
        ValueError: values or a score that are not finite, a score that is not one number an input, a rate
            or a number of steps that is not positive.
    """
    if not (rate > 0 and steps >= 1):
        raise ValueError(f"expected a rate above 0 and 1 step or more, got {rate} and {steps}")
    x, history = finite(x).detach().clone(), []
    with torch.inference_mode(False), torch.enable_grad():
        for step in range(steps + 1):
            x.requires_grad_()
            value = score(x)
            if value.shape != x.shape[:1]:
                raise ValueError(
                    f"expected a score of shape ({len(x)},), one an input, got {tuple(value.shape)}"
                )
            if not value.isfinite().all():
                raise ValueError(
                    f"the score is not finite after {step} steps: lower the rate, or raise the decay"
                )
            history.append(value.detach())
            if step < steps:
                (slope,) = torch.autograd.grad((value - decay * x.square().flatten(1).sum(1)).sum(), x)
                x = (x + rate * slope).detach()
    return x.detach(), torch.stack(history)
