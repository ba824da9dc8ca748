"""Small problems that several claims share, and where an optimizer takes a parameter on them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from deepcanon.foundations import logistic

Loss = Callable[[Tensor], Tensor]
Make = Callable[[list[nn.Parameter]], Optimizer]


def descend(make: Make, loss: Loss, start: Sequence[float] | Tensor, steps: int) -> Tensor:
    """The parameter after 0, 1, ..., `steps` steps, (steps + 1, *D), in float64."""
    theta = nn.Parameter(torch.as_tensor(start, dtype=torch.float64).clone())
    optimizer, path = make([theta]), [theta.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        loss(theta).backward()
        optimizer.step()
        path.append(theta.detach().clone())
    return torch.stack(path)


def steps_until(path: Tensor, distance: float) -> float:
    """The first step after which the parameter is nearer to 0 than `distance`. Raises ValueError for none."""
    near = (path.norm(dim=1) < distance).nonzero()
    if not len(near):
        raise ValueError(f"no point of {len(path)} lies nearer to 0 than {distance}")
    return float(near[0])


def quadratic(*curvatures: float) -> Loss:
    """1/2 sum_i l_i theta_i^2."""
    scale = torch.tensor(curvatures, dtype=torch.float64)
    return lambda theta: 0.5 * (scale * theta.square()).sum()


def labelled(examples: int, *weights: float) -> tuple[Tensor, Tensor]:
    """Points of a Gaussian and their labels, 0 or 1, of a logistic regression with these weights."""
    x = torch.randn(examples, len(weights), dtype=torch.float64)
    return x, logistic.probability(torch.tensor(weights, dtype=torch.float64), x).bernoulli()


def legendre(x: Tensor, degree: int) -> Tensor:
    """Legendre polynomials of degree 0 to `degree` at x in [-1, 1], (*N, degree + 1)."""
    columns = [torch.ones_like(x), x]
    for n in range(1, degree):
        columns.append(((2 * n + 1) * x * columns[n] - n * columns[n - 1]) / (n + 1))
    return torch.stack(columns[: degree + 1], -1)
