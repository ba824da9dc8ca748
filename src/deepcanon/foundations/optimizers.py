"""First-order optimizers, each as its equation; g is the gradient, a the rate, k counts from 1.

    GradientDescent    theta <- theta - a g                                                    Cauchy 1847
    Momentum           v <- mu v + g,                        theta <- theta - a v              Polyak 1964
    HeavyBall          theta_k+1 = theta_k - a g + mu (theta_k - theta_k-1)                    the same path while a is constant
    Nesterov           phi = theta_k + mu (theta_k - theta_k-1),  theta_k+1 = phi - a g(phi)   Nesterov 1983
    AdaGrad            s <- s + g^2,                         theta <- theta - a g / root(s)    Duchi, Hazan & Singer 2011
    RMSProp            s <- b s + (1 - b) g^2,               theta <- theta - a g / root(s)    Tieleman & Hinton 2012
    Adam               m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2                      Kingma & Ba 2015, arXiv 1412.6980
                       theta <- theta - a m / (1 - b1^k) / root(v / (1 - b2^k))

root(s) is sqrt(s) + eps, or sqrt(s + eps). Powers and roots are by element: each coordinate of AdaGrad, RMSProp and Adam has a rate of its own.
These are the equations to read and to check; the engine trains with torch's own, fused forms, which the tests hold to these.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

Root = Callable[[Tensor, float], Tensor]
Closure = Callable[[], Tensor]


def eps_outside(s: Tensor, eps: float) -> Tensor:
    """sqrt(s) + eps: Adam's paper, torch."""
    return s.sqrt() + eps


def eps_inside(s: Tensor, eps: float) -> Tensor:
    """sqrt(s + eps)."""
    return (s + eps).sqrt()


class GradientDescent(Optimizer):
    """theta <- theta - a g.

    On a quadratic with curvatures l_i it ends at the minimum if a < 2 / max l, and diverges if a > 2 / max l.
    """

    def __init__(self, params: ParamsT, lr: float = 0.1):
        super().__init__(params, {"lr": non_negative("lr", lr)})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:
        loss = evaluate(closure)
        for theta, g, _, group in gradients(self):
            theta -= group["lr"] * g
        return loss


class Momentum(Optimizer):
    """A velocity v that remembers the gradients of the last 1 / (1 - mu) steps."""

    def __init__(self, params: ParamsT, lr: float = 0.1, momentum: float = 0.9):
        super().__init__(params, {"lr": non_negative("lr", lr), "momentum": fraction("momentum", momentum)})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:
        loss = evaluate(closure)
        for theta, g, state, group in gradients(self, "v"):
            state["v"].mul_(group["momentum"]).add_(g)
            theta -= group["lr"] * state["v"]
        return loss


class HeavyBall(Optimizer):
    """Momentum in the displacement d = theta_k - theta_k-1: an old gradient keeps the rate it was made at, where `Momentum` gives it today's."""

    def __init__(self, params: ParamsT, lr: float = 0.1, momentum: float = 0.9):
        super().__init__(params, {"lr": non_negative("lr", lr), "momentum": fraction("momentum", momentum)})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:
        loss = evaluate(closure)
        for theta, g, state, group in gradients(self, "d"):
            state["d"].mul_(group["momentum"]).sub_(group["lr"] * g)
            theta += state["d"]
        return loss


class Nesterov(Optimizer):
    """Momentum whose gradient is taken ahead, at phi = theta_k + mu (theta_k - theta_k-1).

    Between two steps the parameters stand at phi, where the loss is differentiated; `iterate(p)` is theta.
    """

    def __init__(self, params: ParamsT, lr: float = 0.1, momentum: float = 0.9):
        super().__init__(params, {"lr": non_negative("lr", lr), "momentum": fraction("momentum", momentum)})

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:
        loss = evaluate(closure)
        for phi, g, state, group in gradients(self):
            theta, state["theta"] = state.get("theta", phi), phi - group["lr"] * g
            phi.copy_(state["theta"] + group["momentum"] * (state["theta"] - theta))
        return loss

    def iterate(self, p: Tensor) -> Tensor:
        """theta_k of the parameter `p`."""
        return self.state[p]["theta"] if p in self.state else p.detach()


class Rooted(Optimizer):
    """An optimizer that divides by `root` of its squared gradients, also after it was copied."""

    def __init__(self, params: ParamsT, defaults: dict, root: Root):
        super().__init__(params, defaults)
        self.root = root

    def __getstate__(self) -> dict:
        return super().__getstate__() | {"root": self.root}


class AdaGrad(Rooted):
    """Rates that fall with the sum of squared gradients: under a constant gradient, step k has length a / sqrt(k)."""

    def __init__(self, params: ParamsT, lr: float = 0.01, eps: float = 1e-10, root: Root = eps_outside):
        super().__init__(params, {"lr": non_negative("lr", lr), "eps": positive("eps", eps)}, root)

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:
        loss = evaluate(closure)
        for theta, g, state, group in gradients(self, "s"):
            state["s"] += g.square()
            theta -= group["lr"] * g / self.root(state["s"], group["eps"])
        return loss


class RMSProp(Rooted):
    """AdaGrad with a mean that forgets: under a constant gradient the steps tend to length a."""

    def __init__(self, params: ParamsT, lr: float = 0.01, decay: float = 0.99, eps: float = 1e-8, root: Root = eps_outside):
        rates = {"lr": non_negative("lr", lr), "decay": fraction("decay", decay)}
        super().__init__(params, rates | {"eps": positive("eps", eps)}, root)

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:
        loss = evaluate(closure)
        for theta, g, state, group in gradients(self, "s"):
            state["s"].lerp_(g.square(), 1 - group["decay"])
            theta -= group["lr"] * g / self.root(state["s"], group["eps"])
        return loss


class Adam(Rooted):
    """Momentum and RMSProp, both started at zero and corrected for it: the first step has length a in every coordinate."""

    def __init__(self, params: ParamsT, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, root: Root = eps_outside):
        betas = (fraction("betas[0]", betas[0]), fraction("betas[1]", betas[1]))
        rates = {"lr": non_negative("lr", lr), "betas": betas}
        super().__init__(params, rates | {"eps": positive("eps", eps)}, root)

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Tensor | None:
        loss = evaluate(closure)
        for theta, g, state, group in gradients(self, "m", "v"):
            b1, b2 = group["betas"]
            state["m"].lerp_(g, 1 - b1)
            state["v"].lerp_(g.square(), 1 - b2)
            m_hat, v_hat = state["m"] / (1 - b1 ** state["step"]), state["v"] / (1 - b2 ** state["step"])
            theta -= group["lr"] * m_hat / self.root(v_hat, group["eps"])
        return loss


def gradients(optimizer: Optimizer, *memories: str) -> Iterator[tuple[Tensor, Tensor, dict, dict]]:
    """(theta, g, state, group) of every parameter with a gradient; in its state the `memories` start at zero, "step" is k."""
    for group in optimizer.param_groups:
        for theta in group["params"]:
            if theta.grad is None:
                continue
            state = optimizer.state[theta]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float64)
                state.update({name: torch.zeros_like(theta) for name in memories})
            state["step"] += 1
            yield theta, theta.grad, state, group


def evaluate(closure: Closure | None) -> Tensor | None:
    """The loss that a closure computes and differentiates."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def non_negative(name: str, value: float) -> float:
    """`value`, if it is 0 or more."""
    if not value >= 0:
        raise ValueError(f"expected {name} of 0 or more, got {value}")
    return value


def positive(name: str, value: float) -> float:
    """`value`, if it is above 0."""
    if not value > 0:
        raise ValueError(f"expected {name} above 0, got {value}: a coordinate without gradient would move by 0 / 0")
    return value


def fraction(name: str, value: float) -> float:
    """`value`, if it lies in [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"expected {name} in [0, 1), got {value}")
    return value
