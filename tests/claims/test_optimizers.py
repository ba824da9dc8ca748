"""Claims about momentum and rates by coordinate: each number against its closed form."""

import math

import numpy
import pytest

from tests.claims.verdicts import measured


@pytest.mark.row("FND-22", "FND-23")
def test_adagrads_steps_vanish_and_rmsprops_do_not():
    m = measured("C-002", "confirmed")
    assert m["adagrad_step"] == pytest.approx(1 / math.sqrt(1000), rel=1e-9)
    assert m["rmsprop_step"] == pytest.approx(1 / math.sqrt(1 - 0.99**1000), rel=1e-9)
    assert max(m["adagrad_deviation"], m["rmsprop_deviation"]) < 1e-10


@pytest.mark.row("FND-22", "FND-24")
def test_rates_are_disentangled_between_coordinates():
    m = measured("C-003", "confirmed")
    for name in ("adam", "adagrad"):
        assert m[f"{name}_first"] == pytest.approx(1)
        assert m[f"{name}_second"] == pytest.approx(1)
        assert m[f"{name}_change"] < 1e-10
    assert (m["descent_first"], m["descent_second"]) == (pytest.approx(1), pytest.approx(1000))
    assert m["descent_change"] == pytest.approx((1 - 1e-4) ** 50 - 0.9**50)


@pytest.mark.row("FND-21", "FND-17")
def test_nesterovs_guarantee_holds():
    m = measured("C-004", "refuted")
    curvatures, errors = numpy.logspace(-4, 0, 30), []
    before = now = numpy.ones(30)
    for k in range(1, 501):                                            # each coordinate is a line of its own
        ahead = now + (k - 1) / (k + 2) * (now - before)
        before, now = now, (1 - curvatures) * ahead
        errors.append((curvatures * now**2).sum() / 2)
    bounds = 2 * 30 / (numpy.arange(1, 501) + 1.0) ** 2
    assert m["largest_share_of_bound"] == pytest.approx((errors / bounds).max(), rel=1e-6)
    assert m["largest_share_of_bound"] < 1
    assert m["nesterov_error"] == pytest.approx(errors[-1], rel=1e-6)
    assert m["descent_error"] == pytest.approx((curvatures * (1 - curvatures) ** 1000).sum() / 2, rel=1e-6)


@pytest.mark.row("FND-20", "FND-21")
def test_momentum_cycles_where_nesterov_converges():
    m = measured("C-007", "confirmed")
    # x_next = x - slope(x) / 9 + 4/9 (x - x_before), the slope 25 x at middle and low, 25 x - 24 at high
    a, d = 4 / 9, 1 + 4 / 9 - 25 / 9
    system = numpy.array([[-1, d, -a], [-a, -1, d], [d, -a, -1]])
    cycle = [m[f"cycle_{name}"] for name in ("high", "low", "middle")]
    assert cycle == pytest.approx(numpy.linalg.solve(system, [0, 0, -24 / 9]).tolist())
    assert cycle == pytest.approx([2.116, -1.802, 0.647], abs=1e-3)
    assert m["cycle_drift"] < 1e-9
    assert max(m["nesterov_end"], m["small_rate_end"]) < 1e-9


@pytest.mark.row("FND-20")
def test_tuned_momentum_needs_a_fifth_of_the_steps():
    m = measured("C-011", "confirmed")
    assert m["descent_steps"] == math.ceil(math.log(1e-6) / math.log(99 / 101))
    before = now = numpy.ones(2) / math.sqrt(2)
    steps = 0
    while numpy.linalg.norm(now) >= 1e-6:
        before, now = now, now - 4 / 121 * numpy.array([1, 100]) * now + (9 / 11) ** 2 * (now - before)
        steps += 1
    assert m["momentum_steps"] == steps
    assert m["ratio"] == m["descent_steps"] / steps
    assert m["distance_after_one_newton_step"] < 1e-12


@pytest.mark.row("FND-24")
def test_adams_first_step_with_and_without_its_corrections():
    m = measured("C-013", "refuted")
    assert m["corrected"] == pytest.approx(1)
    assert m["uncorrected"] == pytest.approx(0.1 / math.sqrt(0.001))
    assert m["uncorrected"] == pytest.approx(3.162, abs=1e-3)
    assert m["first_moment_uncorrected"] == pytest.approx(0.1)
