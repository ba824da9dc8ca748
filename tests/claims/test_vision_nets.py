"""Claims about nets for images: each number against its closed form."""

import pytest

from tests.claims.verdicts import measured


@pytest.mark.row("VIS-01", "VIS-04")
def test_a_strided_convolution_of_15_pixels():
    m = measured("C-051", "confirmed")
    assert (m["channels"], m["side"], m["parameters"]) == (4, 8, 112)
    assert m["distance_from_torch"] < 1e-5


@pytest.mark.row("VIS-01")
def test_a_convolution_has_few_parameters():
    m = measured("C-052", "confirmed")
    assert m["convolution"] == 1792
    assert m["connected"] == pytest.approx(4.8e11, rel=0.01)


@pytest.mark.row("VIS-11")
def test_memory_is_early_and_parameters_are_late():
    m = measured("C-053", "confirmed")
    assert m["first_two_convolutions"] == pytest.approx(0.426, abs=1e-3)
    assert m["first_hidden_layer"] == pytest.approx(0.742746, abs=1e-6)
    assert m["parameters"] == 138_357_544


@pytest.mark.row("VIS-05")
def test_a_mean_over_space_is_enough():
    m = measured("C-054", "confirmed")
    assert m["lost"] == pytest.approx(m["hidden"] - m["pooled"])
    assert m["pooled"] > 0.9
    assert m["pooled_parameters"] < m["hidden_parameters"]


@pytest.mark.row("VIS-12", "FND-53")
def test_residual_nets_train_where_plain_ones_do_not():
    m = measured("C-055", "confirmed")
    assert m["residual_distance"] < 0.5 < m["plain_distance"]
    assert m["gap"] == pytest.approx(m["plain_loss"] - m["residual_loss"])


@pytest.mark.row("VIS-14")
def test_a_bottleneck_saves_parameters():
    m = measured("C-058", "confirmed")
    assert (m["direct"], m["through_a_bottleneck"]) == (153_632, 15_920)


@pytest.mark.row("VIS-09")
def test_224_pixels_become_54():
    m = measured("C-062", "refuted")
    assert (m["side_of_224"], m["side_of_224_with_a_border"], m["side_of_227"]) == (54, 55, 55)


@pytest.mark.row("VIS-31")
def test_patches_are_a_set_without_positions():
    m = measured("C-059", "confirmed")
    assert m["change_without"] < 1e-12
    assert m["change_with_positions"] > 1e-3


@pytest.mark.row("VIS-31")
def test_half_the_side_four_times_the_patches():
    m = measured("C-060", "confirmed")
    assert (m["patches_of_16"], m["patches_of_8"]) == (196, 784)


@pytest.mark.row("VIS-32")
def test_windows_that_shift_see_everything():
    m = measured("C-061", "confirmed")
    assert m["reached_without_a_shift"] == 1 / 16
    assert m["reached_by_1"] == 1 / 16
    assert m["reached_by_2"] == 1 / 4                                            # four windows meet in the shifted one
    assert m["reached_by_2"] < m["reached_by_3"] < m["reached_by_4"] == 1
