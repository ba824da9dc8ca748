"""The distance by three routes, and against scipy."""

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch

from deepcanon.gans.wasserstein import jensen_shannon, on_the_line, transport


@pytest.fixture
def problem():
    torch.manual_seed(0)
    p, q = torch.randn(2, 9, dtype=torch.float64).softmax(-1)
    points = torch.randn(9, 2, dtype=torch.float64)
    return p, q, torch.cdist(points, points)


@pytest.mark.row("GEN-67")
def test_on_the_line_it_equals_scipys():
    torch.manual_seed(0)
    x, y = torch.randn(50, dtype=torch.float64), 2 * torch.randn(80, dtype=torch.float64) + 1
    assert on_the_line(x, y).item() == pytest.approx(scipy.stats.wasserstein_distance(x.numpy(), y.numpy()), abs=1e-12)


@pytest.mark.row("GEN-67")
def test_primal_equals_dual_and_both_are_feasible(problem):
    p, q, cost = problem
    coupling, f, distance = transport(*problem)
    assert distance.item() == pytest.approx((f * (p - q)).sum().item(), abs=1e-8)
    torch.testing.assert_close(coupling.sum(1), p, atol=1e-9, rtol=0)
    torch.testing.assert_close(coupling.sum(0), q, atol=1e-9, rtol=0)
    assert (coupling >= -1e-12).all()
    assert (f.unsqueeze(1) - f <= cost + 1e-9).all()


@pytest.mark.row("GEN-67")
def test_both_problems_equal_scipys_linear_programs(problem):
    p, q, cost = problem
    n, distance = len(p), transport(*problem).distance.item()
    eye = np.eye(n)
    marginals = np.vstack([np.kron(eye, np.ones(n)), np.kron(np.ones(n), eye)])
    primal = scipy.optimize.linprog(cost.flatten().numpy(), A_eq=marginals, b_eq=torch.cat([p, q]).numpy())
    slopes = (eye[:, None] - eye[None]).reshape(n * n, n)
    dual = scipy.optimize.linprog((q - p).numpy(), A_ub=slopes, b_ub=cost.flatten().numpy(), bounds=[(0, 0)] + [(None, None)] * (n - 1))
    assert distance == pytest.approx(primal.fun, abs=1e-8)
    assert distance == pytest.approx(-dual.fun, abs=1e-8)


@pytest.mark.row("GEN-67")
def test_transport_equals_the_line_in_one_dimension():
    torch.manual_seed(0)
    points = torch.randn(8, 1, dtype=torch.float64)
    left = torch.tensor([0.25] * 4 + [0.0] * 4, dtype=torch.float64)
    distance = transport(left, left.flip(0), torch.cdist(points, points)).distance
    assert distance.item() == pytest.approx(on_the_line(points[:4, 0], points[4:, 0]).item(), abs=1e-9)


@pytest.mark.row("GEN-67")
@pytest.mark.parametrize("distance", [0.1, 1.0, 7.5])
def test_two_point_masses(distance):
    points = torch.tensor([[0.0], [distance]], dtype=torch.float64)
    here, there = torch.eye(2, dtype=torch.float64)
    found = transport(here, there, torch.cdist(points, points))
    assert found.distance.item() == pytest.approx(distance)
    assert (found.potential * (here - there)).sum().item() == pytest.approx(distance)
    assert on_the_line(points[0], points[1]).item() == pytest.approx(distance)
    assert jensen_shannon(here, there).item() == pytest.approx(math.log(2))
    assert jensen_shannon(here, here).item() == pytest.approx(0)


def test_masses_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValueError, match="two distributions on N points"):
        transport(torch.ones(2), torch.ones(2) / 2, torch.zeros(2, 2))
