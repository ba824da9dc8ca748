"""Objectives whose minimum is known, and divergences against the Jacobian."""

from functools import partial

import pytest
import torch
from torch import nn

from deepcanon.diffusion.divergence import exact, hutchinson
from deepcanon.diffusion.score_matching import ScoreModel, denoising, fisher, implicit, score_of, sliced
from deepcanon.nets.perceptron import mlp


class Quadratic(nn.Module):
    """E(x) = k ||x - m||^2 / 2 + c."""

    def __init__(self, mean, precision, constant=0.0):
        super().__init__()
        self.mean, self.precision = nn.Parameter(torch.as_tensor(mean).double()), nn.Parameter(torch.tensor(precision, dtype=torch.float64))
        self.constant = constant

    def forward(self, x):
        return self.precision * (x - self.mean).square().sum(1) / 2 + self.constant


def net():
    return mlp(3, 16, 3, activation=nn.Tanh).double()


@pytest.mark.row("GEN-48")
def test_the_exact_divergence_is_the_trace_of_the_jacobian():
    f, x = net(), torch.randn(5, 3).double()
    y, trace = exact(f, x)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda x: f(x)))(x)
    torch.testing.assert_close(y, f(x))
    torch.testing.assert_close(trace, jacobian.diagonal(dim1=1, dim2=2).sum(1))
    draws = torch.stack([hutchinson(f, x)[1] for _ in range(400)])
    assert ((draws.mean(0) - trace).abs() < 4 * draws.std(0) / 20).all()


def test_divergences_keep_their_graph_only_where_gradients_are_enabled():
    f, x = net(), torch.randn(2, 3).double()
    for divergence in (exact, hutchinson):
        assert divergence(f, x)[1].requires_grad
        with torch.no_grad():
            assert not any(t.requires_grad for t in divergence(f, x))


@pytest.mark.row("GEN-48")
def test_the_minimum_on_points_is_their_mean_and_precision():
    """In closed form: m the sample mean, 1 / k the mean squared distance to it a dimension."""
    x = torch.randn(500, 3).double() * 0.7 + 1
    mean = x.mean(0)
    energy = Quadratic(mean, 1 / (x - mean).square().mean().item())
    implicit(score_of(energy), x).mean().backward()
    for p in energy.parameters():
        torch.testing.assert_close(p.grad, torch.zeros_like(p), atol=1e-10, rtol=0)


@pytest.mark.row("GEN-48")
@pytest.mark.parametrize("objective", [implicit, sliced, partial(denoising, sigma=0.5)])
def test_objectives_differ_from_the_fisher_divergence_by_a_constant(objective):
    """Data N(0, I), made noisy for the denoising form; the constant is the same for two models, within four standard errors."""
    x, noisy = torch.randn(100_000, 2).double(), isinstance(objective, partial)
    at, variance = (x + 0.5 * torch.randn_like(x), 1.25) if noisy else (x, 1.0)
    gaps = []
    for model in (Quadratic([0.3, -0.5], 1.5), Quadratic([0.0, 0.2], 0.6)):
        score = score_of(model)
        gaps.append((objective(score, x) - fisher(score, at, -at / variance)).detach())
    difference = gaps[0] - gaps[1]
    assert abs(difference.mean()) < 4 * difference.std() / len(x) ** 0.5


@pytest.mark.row("GEN-48")
def test_the_partition_function_has_no_effect():
    x = torch.randn(20, 2).double()
    first, second = (implicit(score_of(Quadratic([1.0, 0.0], 2.0, constant)), x) for constant in (0.0, 50.0))
    torch.testing.assert_close(first, second, atol=0, rtol=0)


@pytest.mark.row("GEN-48")
def test_sliced_is_implicit_on_average():
    f, x = net(), torch.randn(4, 3).double()
    draws = torch.stack([sliced(f, x).detach() for _ in range(400)])
    assert ((draws.mean(0) - implicit(f, x).detach()).abs() < 4 * draws.std(0) / 20).all()


@pytest.mark.row("GEN-48")
def test_the_objectives_by_hand():
    """s(x) = A x on one point x: ||A x||^2 / 2 + tr A, and half the squared distance to a right score."""
    A, x = torch.tensor([[1.0, 2.0], [0.5, -3.0]]), torch.tensor([[2.0, -1.0], [0.0, 1.0]])
    right = torch.tensor([[1.0, 1.0], [-1.0, 2.0]])                             # A x is (0, 4) and (2, -3)

    def score(x):
        return x @ A.T

    assert fisher(score, x, right).tolist() == [(1 + 9) / 2, (9 + 25) / 2]
    torch.testing.assert_close(implicit(score, x), torch.tensor([16 / 2 - 2.0, 13 / 2 - 2.0]))
    torch.manual_seed(1)
    value = denoising(score, x, sigma=0.5)
    torch.manual_seed(1)
    z = torch.randn(2, 2)
    torch.testing.assert_close(value, ((x + 0.5 * z) @ A.T + z / 0.5).square().sum(1) / 2)
    model = ScoreModel(nn.Linear(2, 2))
    torch.testing.assert_close(model.loss((x,)), implicit(model.net, x).sum() / 2)


@pytest.mark.row("GEN-48")
def test_a_model_learns_the_score_of_a_gaussian():
    model = ScoreModel(nn.Linear(1, 1))
    x = 2 + 0.5 * torch.randn(4_000, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.3)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / 300)
        optimizer.zero_grad()
        model.loss((x,)).backward()
        optimizer.step()
    torch.testing.assert_close(model.score(torch.tensor([[1.0], [3.0]])).detach(), torch.tensor([[4.0], [-4.0]]), atol=0.3, rtol=0)


class Tilted(nn.Module):
    """E(x) = (x - m)' P (x - m) / 2."""

    def __init__(self, dims):
        super().__init__()
        self.mean, self.precision = nn.Parameter(torch.zeros(dims).double()), nn.Parameter(torch.eye(dims).double())

    def forward(self, x):
        return ((x - self.mean) @ self.precision * (x - self.mean)).sum(1) / 2


@pytest.mark.row("GEN-48")
def test_the_minimum_is_the_whole_precision_matrix():
    """Of correlated points: m their mean, P the inverse of their covariance, off the diagonal too."""
    x = torch.randn(400, 3).double() @ torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [-0.3, 0.5, 0.7]]).double().T + 1
    energy = Tilted(3)
    optimizer = torch.optim.LBFGS(energy.parameters(), max_iter=100, tolerance_grad=1e-9, tolerance_change=0, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = implicit(score_of(energy), x).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    right = torch.linalg.inv(x.T.cov(correction=0))
    assert (right - right.diagonal().diag()).abs().max() > 0.5
    torch.testing.assert_close(energy.mean.detach(), x.mean(0), atol=1e-5, rtol=0)
    torch.testing.assert_close((energy.precision + energy.precision.T).detach() / 2, right, atol=1e-5, rtol=0)
