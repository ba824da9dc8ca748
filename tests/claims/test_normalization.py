"""Claims about normalization: each number against its closed form."""

import pytest

from tests.claims.verdicts import measured


@pytest.mark.row("FND-19", "FND-28", "FND-29")
def test_sixteen_parts_of_two_are_a_batch_of_32_without_batch_statistics():
    """Worked example "Gradient accumulation with and without BatchNorm"."""
    m = measured("C-033", "refuted")
    assert m["batch_norm_log10"] > -3
    assert m["layer_norm_log10"] < -6
    assert m["no_norm_log10"] < -6


@pytest.mark.row("FND-28")
def test_batch_norm_ties_the_examples_in_training_and_frees_them_in_use():
    m = measured("C-034", "refuted")
    assert m["change_in_training"] > 0.01
    assert m["change_in_evaluation"] == 0
    assert m["distance_from_running"] < 1e-12
    assert m["running_mean"] == pytest.approx(3 * (1 - 0.9**20), abs=0.2)
    assert m["running_variance"] == pytest.approx(4 + (1 - 4) * 0.9**20, abs=0.4)


@pytest.mark.row("FND-28", "FND-29")
def test_with_one_example_batch_norm_and_layer_norm_differ():
    m = measured("C-035", "refuted")
    assert m["batch_norm_largest"] == 0
    assert m["layer_norm_mean"] == pytest.approx(0, abs=1e-12)
    assert m["layer_norm_deviation"] == pytest.approx(1, abs=1e-5)
    assert m["difference"] > 1


@pytest.mark.row("FND-28", "FND-29")
def test_layer_norm_is_the_same_in_training_and_in_use():
    m = measured("C-036", "confirmed")
    assert m["layer_norm_change"] == 0
    assert m["batch_norm_change"] > 1                                         # this batch has another mean
