"""Claims about initial weights: each number against its closed form."""

import math

import pytest

from tests.claims.verdicts import measured


@pytest.mark.row("FND-31")
def test_small_weights_shrink_a_tanh_signal_by_the_same_factor_a_layer():
    m = measured("C-039", "confirmed")
    assert m["slope"] == pytest.approx(math.log(0.01 * math.sqrt(500)), abs=0.01)
    assert m["correlation"] == pytest.approx(-1, abs=1e-3)


@pytest.mark.row("FND-32", "FND-33")
def test_xavier_keeps_the_variance_of_a_linear_net_and_relu_needs_twice_as_much():
    m = measured("C-040", "confirmed")
    assert m["linear_xavier_log2"] == pytest.approx(0, abs=0.3)
    assert m["relu_kaiming_log2"] == pytest.approx(0, abs=1)
    assert m["relu_xavier_log2"] == pytest.approx(-19, abs=1)          # 19 ReLUs lie between the layers


@pytest.mark.row("FND-31", "FND-34")
def test_half_of_the_relus_are_inactive_and_hardly_any_is_dead():
    m = measured("C-041", "refuted")
    assert m["active"] == pytest.approx(0.5, abs=0.002)
    assert m["never_active"] < 1e-4


@pytest.mark.row("FND-31", "FND-35")
def test_fifty_orthogonal_layers_keep_the_norm_of_a_gradient():
    m = measured("C-042", "confirmed")
    assert m["gradient_deviation"] < 1e-4
    assert m["signal_deviation"] < 1e-4
    assert m["larger_log10"] == pytest.approx(50 * math.log10(1.5), abs=0.4)
    assert m["smaller_log10"] == pytest.approx(-50 * math.log10(1.5), abs=0.4)
