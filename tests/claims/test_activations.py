"""Claims about activation functions: each number against its closed form."""

import math

import pytest

from tests.claims.verdicts import measured


@pytest.mark.row("FND-11", "FND-12", "FND-13", "FND-14", "FND-15")
def test_a_gradient_passes_without_changing_sign():
    m = measured("C-018", "confirmed")
    signs = [m[f"{name}_least_sign"] for name in ("sigmoid", "tanh", "relu")]
    assert signs == [1, 1, 0]                                          # a ReLU stops some
    assert m["gelu_least_slope"] == pytest.approx(-0.1289, abs=1e-4)


@pytest.mark.row("FND-12", "FND-13", "FND-27")
def test_after_a_sigmoid_all_weights_of_a_neuron_get_gradients_of_one_sign():
    m = measured("C-043", "confirmed")
    assert m["sigmoid_shared"] == 1
    assert m["centred_sigmoid_shared"] <= 0.002                               # 2^-19 by chance
    assert m["tanh_shared"] <= 0.002


@pytest.mark.row("FND-12", "FND-13")
def test_sigmoid_and_tanh_saturate():
    m = measured("C-044", "confirmed")
    assert m["sigmoid_slope_at_0"] == pytest.approx(1 / 4)
    assert m["tanh_slope_at_0"] == pytest.approx(1)
    for at in ("10", "-10"):
        assert m[f"sigmoid_slope_at_{at}"] == pytest.approx(1 / (2 + math.exp(10) + math.exp(-10)))
        assert m[f"tanh_slope_at_{at}"] == pytest.approx(1 / math.cosh(10) ** 2, rel=1e-6)
