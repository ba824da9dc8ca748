"""What a net reads of a pixel: its value, and the vector of its level."""

import pytest
import torch

from deepcanon.layers.levels import PixelEmbedding


@pytest.mark.row("GEN-30")
def test_values_alone_run_from_minus_one_to_one():
    x = torch.rand(2, 3, 4, 5)
    assert torch.equal(PixelEmbedding(3)(x), 2 * x - 1)


@pytest.mark.row("GEN-30")
def test_each_channel_has_a_vector_for_each_level_and_a_pixel_their_sum():
    read, level = PixelEmbedding(2, levels=4, dim=5), torch.tensor([[[3, 0, 1]], [[2, 2, 0]]]).movedim(1, 0)     # (1, 2, 3)
    e, table = read(level / 3), read.state_dict()["table.weight"]
    assert e.shape == (1, 7, 3)
    for i in range(3):
        a, b = level[0, :, i]
        torch.testing.assert_close(e[0, :, i], torch.cat([2 * level[0, :, i] / 3 - 1, table[a] + table[4 + b]]))


@pytest.mark.row("GEN-30")
def test_neighbouring_levels_are_one_value_but_not_one_vector():
    a, b = PixelEmbedding(1, levels=256)(torch.tensor([[253 / 255], [254 / 255]]))
    assert (a[0] - b[0]).abs() < 0.01 < (a[1:] - b[1:]).norm() / a[1:].norm()
