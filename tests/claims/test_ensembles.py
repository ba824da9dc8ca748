"""Claims about averages of models: each number against what it must be near."""

import pytest

from tests.claims.verdicts import measured


@pytest.mark.row("FND-42", "FND-45")
def test_independent_nets_average_as_predictors_and_not_as_weights():
    m = measured("C-045", "confirmed")
    assert m["jensen_violations"] == 0
    assert m["nll_gain"] > 0
    assert m["accuracy"] >= m["member_accuracy"] > 0.85
    assert m["averaged_accuracy"] == pytest.approx(0.1, abs=0.1)       # chance


@pytest.mark.row("FND-44", "FND-45")
def test_snapshots_of_one_run_average_as_predictors_and_as_weights():
    m = measured("C-046", "confirmed")
    assert m["nll_gain"] > 0
    assert m["averaged_gain"] == pytest.approx(m["averaged_accuracy"] - m["last_accuracy"], abs=1e-6)
    assert m["averaged_gain"] > -0.01
    assert m["averaged_accuracy"] > 0.88


@pytest.mark.row("FND-05", "FND-46", "FND-47")
def test_bagging_lowers_the_variance_and_boosting_the_bias():
    m = measured("C-047", "confirmed")
    assert m["bagging_variance"] < 0.75
    assert m["boosting_bias2"] < 0.5
    assert m["boosting_variance"] < 1
