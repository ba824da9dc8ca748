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


@pytest.mark.row("FND-03")
def test_mean_and_error_of_four_draws():
    """(1 + 2 + 3 + 6) / 4, and the root of (4 + 1 + 0 + 9) / 3 over 2; no gradient passes the error."""
    draws = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [6.0, 60.0]], requires_grad=True)
    estimate = expectation(draws)
    torch.testing.assert_close(estimate.mean, torch.tensor([3.0, 30.0]))
    torch.testing.assert_close(estimate.error, (14 / 3) ** 0.5 / 2 * torch.tensor([1.0, 10.0]))
    assert not estimate.error.requires_grad
    estimate.mean.sum().backward()
    assert torch.equal(draws.grad, torch.full((4, 2), 0.25))


@pytest.mark.row("FND-03")
def test_each_gradient_is_the_mean_of_its_terms():
    theta, x = torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 0.0], [3.0, 1.0]])
    path = pathwise_gradient(lambda theta, z: (theta * z).square().sum(), theta, x)          # 2 theta z^2
    torch.testing.assert_close(path.mean, torch.tensor([10.0, 2.0]))
    torch.testing.assert_close(path.error, torch.tensor([8.0, 2.0]))

    def log_prob(theta, x):
        return -(x - theta).square().sum() / 2

    score = score_gradient(lambda x: x.prod() + 5, log_prob, theta, x, baseline=3.0)
    torch.testing.assert_close(score.mean, torch.tensor([5.0, -4.5]))            # of 2 (0, -2) and 5 (2, -1)
    torch.testing.assert_close(score.error, torch.tensor([5.0, 0.5]))


@pytest.mark.row("FND-03")
def test_the_error_is_the_spread_of_the_mean():
    means = torch.stack([expectation(torch.randn(100, dtype=torch.float64)).mean for _ in range(500)])
    assert means.std().item() == pytest.approx(expectation(torch.randn(100, dtype=torch.float64)).error.item(), rel=0.25)


def test_refuses_a_single_draw():
    with pytest.raises(ValueError, match="two draws or more, got 1"):
        expectation(torch.zeros(1))
