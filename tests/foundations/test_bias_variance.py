"""The identity, and what degree and penalty do to its terms."""

import pytest
import torch

from deepcanon.foundations.bias_variance import decompose
from deepcanon.foundations.ridge import ridge

K, N = 200, 30


def polynomial(x: torch.Tensor, degree: int) -> torch.Tensor:
    """Legendre polynomials up to `degree` at x in [-1, 1], (..., degree + 1)."""
    columns = [torch.ones_like(x), x]
    for n in range(1, degree):
        columns.append(((2 * n + 1) * x * columns[n] - n * columns[n - 1]) / (n + 1))
    return torch.stack(columns[: degree + 1], -1)


def predictions(degree: int, test: torch.Tensor) -> torch.Tensor:
    """What least squares says at `test` after each of K data sets, whose x is the same and whose noise is new."""
    x = torch.linspace(-1, 1, N, dtype=torch.float64)
    y = torch.sin(3 * x) + 0.3 * torch.randn(K, N, dtype=torch.float64)
    return (polynomial(test, degree) @ torch.linalg.lstsq(polynomial(x, degree), y.T).solution).T


@pytest.mark.row("FND-05")
def test_the_identity_holds_and_degree_trades_bias_for_variance():
    test = torch.linspace(-1, 1, 101, dtype=torch.float64)
    terms = [decompose(predictions(degree, test), torch.sin(3 * test)) for degree in (1, 3, 12)]
    for error, variance, bias2 in terms:
        torch.testing.assert_close(error, variance + bias2, atol=1e-10, rtol=0)
    assert terms[0].variance < terms[1].variance < terms[2].variance             # over-fitted models differ much
    assert terms[0].bias2 > terms[1].bias2 > terms[2].bias2                      # under-fitted ones agree on something wrong
    assert terms[1].error < min(terms[0].error, terms[2].error)


@pytest.mark.row("FND-05")
def test_the_cross_term_vanishes_only_at_the_mean_of_the_models():
    found, truth = torch.randn(K, N, dtype=torch.float64), torch.randn(N, dtype=torch.float64)
    mean, halfway = found.mean(0), (found.mean(0) + truth) / 2
    assert ((found - mean) * (mean - truth)).mean().abs() < 1e-12
    error, _, bias2 = decompose(found, truth)
    apart = (found - halfway).square().mean() + (halfway - truth).square().mean()
    torch.testing.assert_close(error - apart, bias2 / 2, atol=1e-10, rtol=0)     # halfway, half of the bias is lost


@pytest.mark.row("FND-06", "FND-05")
def test_regularisation_lowers_variance_and_raises_bias():
    x, weight = torch.randn(N, 5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    y = x @ weight + torch.randn(K, N, dtype=torch.float64)
    terms = [decompose(ridge(x, y.T, sigma).T, weight) for sigma in (10.0, 1.0, 0.5, 0.2)]
    exact = []
    for sigma in (10.0, 1.0, 0.5, 0.2):                                          # theta_hat = A y, A = (X'X + I / sigma^2)^-1 X'
        a = torch.linalg.solve(x.T @ x + torch.eye(5, dtype=torch.float64) / sigma**2, x.T)
        exact.append((a.square().sum() / 5, (a @ x @ weight - weight).square().mean()))
    for (_, variance, bias2), (expected_variance, expected_bias2) in zip(terms, exact):
        assert variance.item() == pytest.approx(expected_variance.item(), rel=0.2)
        assert bias2.item() == pytest.approx(expected_bias2.item(), rel=0.2, abs=2 * expected_variance.item() / K)
    variances, biases = zip(*exact)
    assert list(variances) == sorted(variances, reverse=True)
    assert list(biases) == sorted(biases)


def test_refuses_a_single_model_and_other_points(unchecked):
    with pytest.raises(ValueError, match=r"two models or more at the points of the truth, \(\.\.\.\), got \(1, 3\) and \(3,\)"):
        decompose(torch.zeros(1, 3), torch.zeros(3))
    with pytest.raises(ValueError, match=r"got \(4, 3\) and \(2,\)"):
        decompose(torch.zeros(4, 3), torch.zeros(2))
