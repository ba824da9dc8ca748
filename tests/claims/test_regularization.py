"""Claims about bias, variance, penalties and dropout: each number against its closed form."""

import math

import numpy
import pytest
import torch
from numpy.polynomial.legendre import legvander

from tests.claims.verdicts import measured


@pytest.mark.row("FND-05")
def test_error_is_variance_and_bias_and_degree_trades_them():
    m = measured("C-014", "confirmed")
    x, test = numpy.linspace(-1, 1, 30), numpy.linspace(-1, 1, 101)
    assert m["identity_gap"] < 1e-10
    exact = {}
    for degree in (1, 3, 12):
        smoother = legvander(test, degree) @ numpy.linalg.pinv(legvander(x, degree))
        exact[degree] = 0.3**2 * (smoother**2).sum(1).mean()
        bias2 = ((smoother @ numpy.sin(3 * x) - numpy.sin(3 * test)) ** 2).mean()
        assert m[f"variance_{degree}"] == pytest.approx(exact[degree], rel=0.1)
        assert m[f"bias2_{degree}"] == pytest.approx(bias2, rel=0.03, abs=2 * exact[degree] / 200)
    assert m["growth_1_to_3"] == pytest.approx(exact[3] - exact[1], rel=0.1)
    assert m["growth_3_to_12"] == pytest.approx(exact[12] - exact[3], rel=0.1)


@pytest.mark.row("FND-05", "FND-06")
def test_penalties_trade_variance_for_bias():
    m = measured("C-015", "confirmed")
    torch.manual_seed(0)                                               # the same points as in the experiment
    x, weight = torch.randn(30, 5, dtype=torch.float64).numpy(), torch.randn(5, dtype=torch.float64).numpy()
    _, s, axes = numpy.linalg.svd(x, full_matrices=False)
    for lam in (0.005, 0.5, 2, 12.5):
        shrunk = 2 * lam / (s**2 + 2 * lam)                            # what is left out along each axis
        assert m[f"variance_at_{lam:g}"] == pytest.approx((s**2 / (s**2 + 2 * lam) ** 2).sum() / 5, rel=1e-9)
        assert m[f"bias2_at_{lam:g}"] == pytest.approx(((shrunk * (axes @ weight)) ** 2).sum() / 5, rel=1e-6)
    assert m["largest_gap"] < 0.2


@pytest.mark.row("FND-06")
def test_a_prior_is_a_penalty():
    m = measured("C-016", "confirmed")
    assert m["lambda"] == pytest.approx(1 / (2 * 0.7**2))
    assert m["spread"] < 1e-8
    constant = -40 / 2 * math.log(2 * math.pi) - 6 / 2 * math.log(2 * math.pi * 0.7**2)
    assert m["constant"] == pytest.approx(constant)


@pytest.mark.row("FND-32", "FND-39", "FND-06")
def test_xavier_changes_the_start_only():
    m = measured("C-020", "refuted")
    torch.manual_seed(0)
    x, y = (torch.randn(60, d, dtype=torch.float64).numpy() for d in (4, 1))
    least = numpy.linalg.lstsq(x, y, rcond=None)[0]
    decayed = numpy.linalg.solve(x.T @ x / 60 + 0.3 * numpy.eye(4), x.T @ y / 60)
    assert m["shift_by_xavier"] < 1e-9
    assert m["shift_by_penalty"] == pytest.approx(abs(decayed - least).max(), rel=1e-6)
    assert m["gradient_shift_by_dropout"] > 0.2
    assert m["dropout_error"] < 0.03


@pytest.mark.row("FND-39")
def test_which_scalings_of_dropout_agree_between_training_and_use():
    """Worked example "Dropout scaling options"."""
    m = measured("C-021", "confirmed")
    spread = math.sqrt(0.2 * 0.8) * 10                                 # of a mask of scale 1
    expected = {"A": (10, 10, spread / 0.8), "B": (40, 40, spread / 0.2), "C": (2, 40, spread / 0.2),
                "D": (10, 10, 0), "E": (8, 8, 0)}
    for way, numbers in expected.items():
        found = [m[f"{way}_{name}"] for name in ("training", "use", "use_deviation")]
        assert found == pytest.approx(numbers), way


@pytest.mark.row("FND-39")
def test_weights_are_multiplied_by_the_probability_to_keep():
    m = measured("C-022", "refuted")
    assert m["training"] == pytest.approx(8)
    assert m["times_1/p"] == pytest.approx(12.5)
    assert m["times_p"] == m["layer"] == pytest.approx(8)


@pytest.mark.row("FND-06")
def test_a_loss_can_regularize():
    m = measured("C-028", "confirmed")
    torch.manual_seed(0)
    x = torch.randn(40, 6, dtype=torch.float64)
    y = (x @ torch.randn(6, dtype=torch.float64) + torch.randn(40, dtype=torch.float64)).numpy()
    x = x.numpy()
    least = numpy.linalg.lstsq(x, y, rcond=None)[0]
    assert m["norm_without"] == pytest.approx(numpy.linalg.norm(least), rel=1e-6)
    decayed = numpy.linalg.solve(x.T @ x + numpy.eye(6) / 0.3**2, x.T @ y)
    assert m["norm_with"] == pytest.approx(numpy.linalg.norm(decayed), rel=1e-6)
    assert m["distance_from_ridge"] < 1e-9


@pytest.mark.row("FND-01")
def test_a_lower_training_loss_may_overfit():
    m = measured("C-029", "refuted")
    x, new = numpy.linspace(-1, 1, 20), numpy.linspace(-1, 1, 1000)
    for degree in (3, 12):
        smoother = legvander(new, degree) @ numpy.linalg.pinv(legvander(x, degree))
        bias2 = ((smoother @ numpy.sin(3 * x) - numpy.sin(3 * new)) ** 2).mean()
        expected = bias2 + 0.09 * (1 + (smoother**2).sum(1).mean())
        assert m[f"validation_{degree}"] == pytest.approx(expected, rel=0.35)
        assert m[f"training_{degree}"] == pytest.approx(0.09 * (1 - (degree + 1) / 20), rel=0.5)
    assert m["training_gain"] == pytest.approx(m["training_3"] - m["training_12"])
    assert m["validation_loss"] == pytest.approx(m["validation_12"] - m["validation_3"])
