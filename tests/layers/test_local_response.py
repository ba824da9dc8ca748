"""Local response normalisation: torch's numbers, a neighbourhood by hand, and 16 bits."""

import pytest
import torch
from torch import nn

from deepcanon.layers.local_response import LocalResponseNorm


@pytest.mark.row("VIS-10")
@pytest.mark.parametrize("size", [1, 2, 4, 5, 9])
@pytest.mark.parametrize("places", [(), (7,), (3, 5)])
def test_values_and_gradients_are_torchs(size, places):
    torch.manual_seed(0)
    shape = (2, 8, *places) if places else (2, 8, 1)
    x = (4 * torch.randn(shape)).requires_grad_()
    ours, theirs = (
        layer(x) for layer in (LocalResponseNorm(size, alpha=0.3), nn.LocalResponseNorm(size, 0.3, 0.75, 2.0))
    )
    torch.testing.assert_close(ours, theirs)
    upstream = torch.randn_like(ours)
    torch.testing.assert_close(*(torch.autograd.grad(y, x, upstream)[0] for y in (ours, theirs)))


@pytest.mark.row("VIS-10")
def test_the_defaults_are_alexnets():
    x = 50 * torch.rand(2, 12, 3, 3)
    torch.testing.assert_close(LocalResponseNorm()(x), nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)(x))


@pytest.mark.row("VIS-10")
def test_a_channel_is_divided_by_the_energy_of_its_neighbours():
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1)
    y = LocalResponseNorm(3, alpha=3.0, beta=1.0, k=1.0)(x).flatten()
    expected = [1 / (1 + 1 + 4), 2 / (1 + 1 + 4 + 9), 3 / (1 + 4 + 9 + 16), 4 / (1 + 9 + 16)]
    torch.testing.assert_close(y, torch.tensor(expected))


def test_squares_of_large_numbers_have_room_in_16_bits():
    x = torch.full((1, 5, 2, 2), 400.0)
    torch.testing.assert_close(LocalResponseNorm()(x.half()), LocalResponseNorm()(x).half())
    assert LocalResponseNorm()(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("settings", [{"size": 0}, {"k": 0.0}, {"alpha": -1.0}])
def test_settings_that_divide_by_nothing_are_refused(settings):
    with pytest.raises(ValueError, match="expected size >= 1, alpha >= 0 and k > 0"):
        LocalResponseNorm(**settings)
