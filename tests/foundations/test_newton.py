"""Newton's method where it is exact; where it goes astray and what it costs are claims C-006 and C-010."""


import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepcanon.foundations.newton import Newton
from deepcanon.foundations.optimizers import GradientDescent


def descend(loss, start, steps: int, lr: float = 1.0) -> Tensor:
    theta = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = Newton([theta], lr)
    for _ in range(steps):
        optimizer.step(lambda: loss(theta))
    return theta.detach()


def positive_definite(n: int) -> Tensor:
    a = torch.randn(n, n, dtype=torch.float64)
    return a @ a.T / n + 0.1 * torch.eye(n, dtype=torch.float64)


@pytest.mark.row("FND-25")
@pytest.mark.parametrize("n", [1, 3, 20])
def test_one_step_solves_a_convex_quadratic(n):
    a, b = positive_definite(n), torch.randn(n, dtype=torch.float64)
    for unit in (1.0, 1e-12, 1e12):                                              # of the loss
        reached = descend(lambda t, unit=unit: unit * (0.5 * t @ a @ t - b @ t), torch.randn(n).tolist(), 1)
        torch.testing.assert_close(reached, torch.linalg.solve(a, b), atol=1e-9, rtol=0)


@pytest.mark.row("FND-25")
def test_a_shorter_step_goes_its_part_of_the_way():
    torch.testing.assert_close(descend(lambda t: (t - 3).square().sum(), [1.0], 1, lr=0.25), torch.tensor([1.5], dtype=torch.float64))


@pytest.mark.row("FND-25")
def test_it_jumps_to_the_saddle_that_gradient_descent_leaves():
    def saddle(t):
        return t[0] ** 2 - t[1] ** 2

    torch.testing.assert_close(descend(saddle, [1.0, 0.5], 1), torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0)
    theta = nn.Parameter(torch.tensor([1.0, 0.5], dtype=torch.float64))
    optimizer = GradientDescent([theta], 0.1)
    for _ in range(50):
        optimizer.zero_grad()
        saddle(theta).backward()
        optimizer.step()
    assert theta[0].abs() < 1e-4
    assert theta[1].abs() > 1000


@pytest.mark.row("FND-25")
def test_the_parameters_of_a_net_are_solved_together():
    """Linear regression by a layer with weight and bias: the least squares solution, each parameter in its own shape."""
    layer, x, y = nn.Linear(3, 2).double(), torch.randn(50, 3, dtype=torch.float64), torch.randn(50, 2, dtype=torch.float64)
    before = F.mse_loss(layer(x), y).item()
    loss = Newton(layer.parameters()).step(lambda: F.mse_loss(layer(x), y))
    assert not loss.requires_grad
    assert loss.item() == before
    solution = torch.linalg.lstsq(F.pad(x, (0, 1), value=1.0), y).solution
    torch.testing.assert_close(torch.cat([layer.weight.T, layer.bias[None]]), solution)
    assert F.mse_loss(layer(x), y) < loss


@pytest.mark.parametrize(("loss", "complaint"), [
    (lambda t: (t[0] + t[1]).square(), r"the Hessian is singular \(curvatures from .* to 4 in size\)"),
    (lambda t: t.sum(), "the Hessian is singular"),
    (lambda t: t[0].square(), "the Hessian is singular"),
    (lambda t: t.square().sum() / 0.0, "the Hessian is not finite"),
])
def test_a_hessian_that_cannot_be_inverted_is_refused(loss, complaint):
    with pytest.raises(ValueError, match=f"Newton's step is not defined: {complaint}"):
        descend(loss, [1.0, 2.0], 1)


def test_a_negative_rate_is_refused():
    with pytest.raises(ValueError, match="expected lr of 0 or more, got -1"):
        Newton([nn.Parameter(torch.zeros(1))], -1.0)
