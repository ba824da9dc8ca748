"""Claims about curvature: each number against its closed form."""

import math

import pytest

from tests.claims.verdicts import measured


@pytest.mark.row("FND-25", "FND-17")
def test_newton_climbs_to_a_maximum_that_descent_leaves():
    m = measured("C-006", "refuted")
    assert m["newton_ends_at"] == pytest.approx(0, abs=1e-9)
    assert m["newton_loss"] == pytest.approx(1)
    assert m["descent_ends_at"] == pytest.approx(math.pi, abs=1e-6)
    assert m["descent_loss"] == pytest.approx(-1)


@pytest.mark.row("FND-07", "FND-25")
def test_logistic_regression_has_one_minimum():
    m = measured("C-008", "confirmed")
    assert 0 < m["least_curvature"] < 1
    assert m["descent_distance"] < 1e-6
    assert m["newton_distance"] < 1e-8


def test_most_random_critical_points_are_saddles():
    m = measured("C-009", "confirmed")
    exact = [1 / 2, (2 - math.sqrt(2)) / 4, (math.pi - 2 * math.sqrt(2)) / (4 * math.pi), 0.00246, 0.000137]
    for n, share in enumerate(exact, 1):                               # the last two are of 15 million draws
        assert m[f"minima_in_{n}d"] == pytest.approx(share, abs=4 * math.sqrt(share / 500_000))
    assert m["saddles_in_5d"] == 1 - 2 * m["minima_in_5d"]


@pytest.mark.row("FND-25")
def test_newtons_cost_grows_with_the_cube_and_one_step_solves_a_quadratic():
    m = measured("C-010", "confirmed")
    assert 2 < m["newton_slope"] < 3.5
    assert 0.5 < m["descent_slope"] < 1.5
    assert m["distance_after_one_step"] < 1e-9
