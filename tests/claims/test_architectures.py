"""Claims about layers and how they are put together: each number against its closed form."""

import pytest

from tests.claims.verdicts import measured


@pytest.mark.row("FND-08", "FND-17")
def test_a_bias_learns_the_frequencies_of_the_classes():
    m = measured("C-023", "refuted")
    assert [m[f"share_{i}"] for i in range(3)] == pytest.approx([0.7, 0.2, 0.1], abs=1e-3)
    assert m["largest_gap"] < 1e-3


@pytest.mark.row("FND-10", "FND-08")
def test_a_hidden_layer_solves_exclusive_or():
    m = measured("C-024", "confirmed")
    assert m["mlp_accuracy"] == 1
    assert m["best_linear_accuracy"] == 0.75                           # three of the four corners


def test_a_convolution_beats_a_perceptron_of_its_size_on_pictures_and_not_on_shuffled_pixels():
    m = measured("C-025", "confirmed")
    assert m["conv_parameters"] == 16 * 9 + 16 + 16 * 16 * 9 + 16 + 144 * 10 + 10
    assert m["mlp_parameters"] == 144 * 25 + 25 + 25 * 10 + 10
    assert m["lead"] == pytest.approx(m["conv"] - m["mlp"])
    assert m["lead"] > 0.05
    assert m["lead_shuffled"] < 0.02


def test_pooling_works_on_sequences_and_volumes():
    m = measured("C-026", "refuted")
    assert (m["first"], m["second"], m["volume"]) == (3, 2, 3)


def test_a_recurrent_cell_is_one_layer_on_previous_output_and_input():
    assert measured("C-027", "confirmed")["difference"] < 1e-12


@pytest.mark.row("FND-36", "FND-53")
def test_blocks_have_a_path_on_which_nothing_scales_the_gradient():
    m = measured("C-037", "confirmed")
    assert m["residual_distance"] == m["dense_distance"] == m["transformer_distance"] == 0
    assert m["post_norm_transformer_distance"] > 0.1


@pytest.mark.row("FND-53")
def test_dense_blocks_grow_where_residual_ones_do_not():
    m = measured("C-038", "confirmed")
    assert (m["dense_channels"], m["residual_channels"]) == (24 + 12 * 12, 24)
    assert m["dense_activations"] == 64 * sum(24 + 12 * layer for layer in range(12))
    assert m["residual_activations"] == 64 * 12 * 24
    assert m["dense_loss_of_input"] == 0
    assert m["residual_loss_of_input"] > 1


def test_average_pooling_is_linear_and_max_pooling_is_not():
    m = measured("C-048", "confirmed")
    assert m["average_gap"] < 1e-12
    assert m["max_gap"] > 1
