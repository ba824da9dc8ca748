"""Muon (Jordan et al. 2024; Liu et al. 2025, arXiv 2502.16982): momentum made orthogonal, so that a matrix learns in all its directions as fast.

    m <- mu m + (1 - mu) g,     u = mu m + (1 - mu) g
    W <- (1 - a w) W - 0.2 a sqrt(max(R, K)) O(u),          O(U S V') = U V'

The factor gives every step the size of Adam's, so that both share the rate a. O is found by matrix products alone: X_0 = u / ||u||, and five times
X <- 3.4445 X - 4.775 (X X') X + 2.0315 (X X')^2 X, which brings all singular values near 1, within about 0.7 and 1.2.
O takes about 20 min(R, K) operations a weight, beside 6 for each position that the weight is used at: nothing for images, half as much again for
768 tokens and 128 wide.
A convolution's weights are the matrix of its outputs R by all else K. Biases, gains and other vectors take Adam's steps. A sharded matrix is
gathered, as O needs all of it.
R rows, K columns, N matrices of the same shape.
"""

from collections import defaultdict
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from deepcanon.engine import parallel


class Muon(Optimizer):
    """Orthogonal steps for matrices, Adam's for vectors.

    Args:
        params: of the net, or groups of them.
        lr: a.
        momentum: mu.
        betas, eps: of Adam.
        weight_decay: w, decoupled.
    """

    def __init__(self, params: ParamsT, lr: float = 5e-3, momentum: float = 0.95, betas: tuple[float, float] = (0.9, 0.99), eps: float = 1e-8,
                 weight_decay: float = 0.0):
        if not 0 <= momentum < 1:
            raise ValueError(f"expected a momentum in [0, 1), got {momentum}")
        super().__init__(params, {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            alike = defaultdict(list)
            for p in group["params"]:
                if p.grad is None:
                    continue
                p.mul_(1 - group["lr"] * group["weight_decay"])
                if p.ndim > 1:
                    alike[len(p), p.numel() // len(p)].append((p, p.grad))
                else:
                    self.adam(p, p.grad, group)
            for matrices in alike.values():
                self.turn(matrices, group)
        return loss

    def turn(self, matrices: list[tuple[Tensor, Tensor]], group: dict) -> None:
        """The step of matrices of one shape, all at once, each with its gradient."""
        mu, ahead = group["momentum"], []
        for p, g in matrices:
            state = self.state[p]
            if not state:
                state["m"] = torch.zeros_like(p)
            state["m"].lerp_(g, 1 - mu)
            ahead.append(parallel.whole(g.lerp(state["m"], mu)).flatten(1))
        size = 0.2 * group["lr"] * max(ahead[0].shape) ** 0.5
        for (p, _), direction in zip(matrices, orthogonal(torch.stack(ahead))):
            p.sub_(parallel.part(direction.reshape(p.shape), p), alpha=size)

    def adam(self, p: Tensor, g: Tensor, group: dict) -> None:
        """Adam's step of one vector."""
        (b1, b2), state = group["betas"], self.state[p]
        if not state:
            state.update(step=torch.zeros(()), m=torch.zeros_like(p), v=torch.zeros_like(p))
        state["step"] += 1
        state["m"].lerp_(g, 1 - b1)
        state["v"].lerp_(g.square(), 1 - b2)
        k = state["step"].item()
        p.addcdiv_(state["m"], (state["v"] / (1 - b2**k)).sqrt_().add_(group["eps"]), value=-group["lr"] / (1 - b1**k))


def orthogonal(u: Float[Tensor, "N R K"], steps: int = 5) -> Float[Tensor, "N R K"]:
    """Nearly U V' of each matrix U S V', by so many steps of Newton and Schulz's."""
    if u.shape[1] > u.shape[2]:
        return orthogonal(u.mT, steps).mT
    x = u / (u.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + (2.0315 * a @ a - 4.775 * a) @ x
    return x
