"""Claims about losses and divergences: each number against its closed form."""

import math

import pytest

from tests.claims.verdicts import measured


@pytest.mark.row("FND-04", "FND-08")
def test_a_zero_one_loss_trains_nothing():
    m = measured("C-030", "refuted")
    assert m["zero_one_gradient"] == 0
    assert m["zero_one_accuracy"] == pytest.approx(1 / 3)              # as at the start
    assert m["cross_entropy_gradient"] > 0.5
    assert m["cross_entropy_accuracy"] > 0.95


@pytest.mark.row("FND-04")
def test_cross_entropy_is_the_nll_of_the_softmax():
    m = measured("C-031", "confirmed")
    assert max(m["difference"], m["gradient_difference"]) < 1e-12


@pytest.mark.row("FND-04", "FND-24")
def test_one_step_may_use_losses_of_two_outputs():
    m = measured("C-032", "refuted")
    assert 0 < m["class_loss_left"] < 0.02
    assert 0 < m["box_loss_left"] < 0.02


@pytest.mark.row("FND-50")
def test_kl_is_positive_and_zero_iff_equal():
    m = measured("C-050", "confirmed")
    assert 0 < m["least"] < 0.1
    assert 0 < m["least_of_gaussians"] < 1e-2
    assert m["itself"] < 1e-12
    assert m["gaussian_itself"] < 1e-12
    divergence = math.log(1 / 6) - (math.log(0.3) + 5 * math.log(0.14)) / 6
    assert m["uniform_from_moved"] == pytest.approx(divergence)
