"""The game that adversarial networks play, where it can be solved.

    V(D, G) = E_p[log D(x)] + E_q[log(1 - D(x))],    q the distribution of G(z)
    D*      = p / (p + q),      V(D*, G) = KL(p||m) + KL(q||m) - log 4 = 2 JSD(p, q) - log 4 >= -log 4,    m = (p + q) / 2

    gradient play on min_x max_y f:    x <- x - eta df/dx,    y <- y + eta df/dy
    f = x y, both at once:             the distance from the equilibrium (0, 0) grows by sqrt(1 + eta^2) a step

Goodfellow et al. 2014, arXiv 1406.2661; historical averaging is of Salimans et al. 2016, arXiv 1606.03498.
K outcomes, T steps, N numbers a player.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import grad


def optimal_discriminator(p: Float[Tensor, "K"], q: Float[Tensor, "K"], label: float = 1.0) -> Float[Tensor, "K"]:
    """D*, or `label` times it where data are called real with a smoothed label."""
    return label * p / (p + q)


def value(d: Float[Tensor, "K"], p: Float[Tensor, "K"], q: Float[Tensor, "K"]) -> Float[Tensor, ""]:
    """V of a discriminator that answers d_k in (0, 1) to the outcome k."""
    return (torch.xlogy(p, d) + torch.xlogy(q, 1 - d)).sum()


def gradient_play(f: Callable[[Tensor, Tensor], Tensor], x: Float[Tensor, "N"], y: Float[Tensor, "N"], *, lr: float = 0.1, steps: int = 100,
                  alternate: bool = False, history: float = 0.0) -> Float[Tensor, "T 2 N"]:
    """The path of both players, the start included.

    Args:
        f: what x minimises and y maximises.
        lr: eta.
        alternate: y answers to the new x, not to the old one.
        history: weight of ||theta - mean of the past theta||^2, for each player: historical averaging.
    """
    path = torch.stack([torch.stack([x, y])])
    for _ in range(steps):
        away = 2 * history * (torch.stack([x, y]) - path.mean(0))
        step = x - lr * (grad(f, 0)(x, y) + away[0])
        y = y + lr * (grad(f, 1)(step if alternate else x, y) - away[1])
        x = step
        path = torch.cat([path, torch.stack([x, y])[None]])
    return path
