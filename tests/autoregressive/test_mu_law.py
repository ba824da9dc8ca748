"""Companding against its closed form, and back."""

import math

import pytest
import torch

from deepcanon.autoregressive.mu_law import compand, expand


@pytest.mark.row("GEN-35")
def test_levels_survive_the_way_there_and_back():
    levels = torch.arange(256, dtype=torch.float64) / 255
    torch.testing.assert_close(compand(expand(levels)), levels, atol=1e-12, rtol=0)
    few = torch.arange(16, dtype=torch.float64) / 15
    torch.testing.assert_close(compand(expand(few, 16), 16), few, atol=1e-12, rtol=0)


@pytest.mark.row("GEN-35")
def test_a_sound_comes_back_to_half_a_level_finer_where_it_is_quiet():
    sound = torch.linspace(-1, 1, 10_001, dtype=torch.float64)
    error = (expand(compand(sound)) - sound).abs()
    step = (1 + 255 * sound.abs()) * math.log(256) / 255 * 2 / 255               # 1 / f', over the levels' distance
    assert (error <= 0.52 * step).all()
    assert error[4_900:5_101].max() < error.max() / 20


@pytest.mark.row("GEN-35")
def test_known_values():
    sound = torch.tensor([-1.0, 0.1, 1.0], dtype=torch.float64)
    f = math.log(1 + 25.5) / math.log(256)
    torch.testing.assert_close(compand(sound), torch.tensor([0.0, round((f + 1) / 2 * 255) / 255, 1.0], dtype=torch.float64))


def test_a_sound_that_is_too_loud_is_refused():
    with pytest.raises(ValueError, match=r"expected a sound in \[-1, 1\], got values up to 1.5"):
        compand(torch.tensor([0.0, 1.5]))
