"""The prior as a penalty, and linear regression, where the most probable weights are known."""

import pytest
import torch
from sklearn.linear_model import Ridge

from deepcanon.foundations.ridge_regression import l2, map_loss, ridge

SIGMA = 0.7


@pytest.fixture
def data():
    torch.manual_seed(0)
    x = torch.randn(40, 6, dtype=torch.float64)
    return x, x @ torch.randn(6, dtype=torch.float64) + torch.randn(40, dtype=torch.float64)


def nll(theta, x, y):
    """Of unit noise, up to a constant."""
    return (y - x @ theta).square().sum() / 2


@pytest.mark.row("FND-06")
def test_the_minimiser_is_the_closed_form_and_scikit_learns(data):
    x, y = data
    theta = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([theta], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = map_loss(nll(theta, x, y), theta, sigma=SIGMA)
        loss.backward()
        return loss

    optimizer.step(closure)
    closed = torch.linalg.inv(x.T @ x + torch.eye(6) / SIGMA**2) @ x.T @ y
    torch.testing.assert_close(ridge(x, y, SIGMA), closed, atol=1e-6, rtol=0)
    torch.testing.assert_close(theta.detach(), closed, atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.from_numpy(Ridge(alpha=1 / SIGMA**2, fit_intercept=False).fit(x, y).coef_), closed, atol=1e-6, rtol=0)


@pytest.mark.row("FND-06")
def test_a_narrower_prior_shrinks_the_weights_and_several_outputs_are_solved_together(data):
    x, y = data
    norms = [l2(ridge(x, y, sigma)).item() for sigma in (10.0, 1.0, 0.3, 0.1)]
    assert norms == sorted(norms, reverse=True)
    torch.testing.assert_close(ridge(x, torch.stack([y, -2 * y], 1), 1.0)[:, 1], -2 * ridge(x, y, 1.0))
    assert l2(torch.ones(2, 3), torch.tensor([2.0])).item() == 10


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_refuses_a_prior_without_width(data, sigma):
    with pytest.raises(ValueError, match="positive standard deviation"):
        ridge(*data, sigma)


def test_refuses_targets_of_another_number(data, annotations_unchecked):
    with pytest.raises(ValueError, match=r"one target a row, got \(40, 6\) and \(39,\)"):
        ridge(data[0], data[1][:39], 1.0)
