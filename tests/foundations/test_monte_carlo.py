"""Estimates of an expectation and of its gradient against closed forms."""

import pytest
import torch

from deepcanon.foundations.monte_carlo import Estimate, expectation, pathwise_gradient, score_gradient

N = 20_000
THETA = torch.tensor([0.5, -1.0], dtype=torch.float64)


def agrees(estimate: Estimate, exact: torch.Tensor) -> bool:
    """Within four standard errors, which are not large."""
    return bool(((estimate.mean - exact).abs() < 4 * estimate.error).all() and (estimate.error < 0.1).all())


@pytest.mark.row("FND-03")
@pytest.mark.parametrize("seed", range(5))
def test_mean_and_gradient_equal_the_closed_form_within_four_standard_errors(seed):
    torch.manual_seed(seed)
    theta = THETA.clone().requires_grad_()
    z = torch.randn(N, 2, dtype=torch.float64)
    estimate = expectation((theta * z + theta).square().sum(1))                  # E = 2 ||theta||^2
    assert agrees(estimate, 2 * THETA.square().sum())
    estimate.mean.backward()
    gradient = pathwise_gradient(lambda theta, z: (theta * z + theta).square().sum(), THETA, z)
    torch.testing.assert_close(theta.grad, gradient.mean)                        # autograd's is the mean of the draws'
    assert agrees(gradient, 4 * THETA)


@pytest.mark.row("FND-03")
@pytest.mark.parametrize("seed", range(5))
def test_the_score_function_needs_no_derivative_of_f(seed):
    torch.manual_seed(seed)
    x = THETA + torch.randn(N, 2, dtype=torch.float64)                           # x ~ N(theta, I)

    def log_prob(theta, x):
        return -(x - theta).square().sum() / 2

    linear = score_gradient(lambda x: x.sum(), log_prob, THETA, x)
    assert agrees(linear, torch.ones_like(THETA))
    density = (-THETA.square() / 2).exp() / (2 * torch.pi) ** 0.5                # d/dtheta P(x > 0), x ~ N(theta, 1)
    steps = [score_gradient(lambda x: (x > 0).double().sum(), log_prob, THETA, x, baseline=b) for b in (0.0, 0.85)]
    assert all(agrees(step, density) for step in steps)
    assert (steps[1].error < steps[0].error).all()                               # what a baseline is for


def test_the_error_is_the_spread_of_the_mean():
    means = torch.stack([expectation(torch.randn(100, dtype=torch.float64)).mean for _ in range(500)])
    assert means.std().item() == pytest.approx(expectation(torch.randn(100, dtype=torch.float64)).error.item(), rel=0.25)


def test_refuses_a_single_draw():
    with pytest.raises(ValueError, match="two draws or more, got 1"):
        expectation(torch.zeros(1))
