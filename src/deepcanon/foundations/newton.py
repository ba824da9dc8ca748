"""Newton's method (Newton 1669, Raphson 1690; see Nocedal & Wright 2006, Numerical Optimization, chapter 3).

    theta <- theta - a H^-1 g,        g = grad L(theta),   H = grad^2 L(theta)

The minimum of the second-order Taylor expansion about theta, if H is positive definite: one step solves a convex quadratic. Where H has negative
eigenvalues the same step climbs along them, to a saddle point or a maximum.
n parameters: H costs O(n^2) memory and n backward passes, the solution O(n^3); gradient descent O(n).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from deepcanon.foundations.optimizers import non_negative


class Newton(Optimizer):
    """Newton's method for a few hundred parameters.

    Args:
        params: those that the loss depends on.
        lr: a, 1 for the full step.
    """

    def __init__(self, params: ParamsT, lr: float = 1.0):
        super().__init__(params, {"lr": non_negative("lr", lr)})

    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride] (a Hessian needs the loss)
        """One step; `closure` returns the loss, without a backward pass. Raises ValueError if the Hessian is singular or not finite."""
        params = [p for group in self.param_groups for p in group["params"]]
        with torch.enable_grad():
            loss = closure()
            g, hessian = derivatives(loss, params)
        move = solve(hessian, g)
        rates = [group["lr"] for group in self.param_groups for _ in group["params"]]
        with torch.no_grad():
            for p, rate, part in zip(params, rates, move.split([p.numel() for p in params])):
                p -= rate * part.view_as(p)
        return loss.detach()


def derivatives(loss: Float[Tensor, ""], params: list[Tensor]) -> tuple[Float[Tensor, "n"], Float[Tensor, "n n"]]:
    """Gradient and Hessian of a scalar in all parameters, flattened side by side."""
    n = sum(p.numel() for p in params)
    g = torch.cat([d.flatten() for d in torch.autograd.grad(loss, params, create_graph=True, materialize_grads=True)])
    if not g.requires_grad:                                                      # a loss that is linear in every parameter
        return g, g.new_zeros(n, n)
    rows = torch.autograd.grad(g, params, torch.eye(n, dtype=g.dtype, device=g.device), is_grads_batched=True, materialize_grads=True)
    return g.detach(), torch.cat([row.reshape(n, -1) for row in rows], 1)


def solve(hessian: Float[Tensor, "n n"], g: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """H^-1 g through the eigenvalues of H, so that a singular H is seen."""
    if not hessian.isfinite().all():
        raise ValueError("Newton's step is not defined: the Hessian is not finite")
    curvatures, axes = torch.linalg.eigh(hessian)
    sizes = curvatures.abs()
    if sizes.min() <= len(g) * torch.finfo(g.dtype).eps * sizes.max():
        raise ValueError(f"Newton's step is not defined: the Hessian is singular (curvatures from {sizes.min():.3g} to {sizes.max():.3g} in size)")
    return axes @ (axes.T @ g / curvatures)
