"""Standardised images, and what the zeros of padding then mean."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.data import images
from deepcanon.layers.norm import Standardize
from deepcanon.nets.resnet import conv_norm


def test_takes_a_training_set_to_mean_0_and_deviation_1():
    x = torch.cat([x for x, _ in images("digits", shuffle=False)])
    z = Standardize(x.mean().item(), x.std().item())(x)
    torch.testing.assert_close(torch.stack([z.mean(), z.std()]), torch.tensor([0.0, 1.0]), atol=1e-5, rtol=0)


def test_one_constant_a_channel():
    layer = Standardize([0.1, 0.2, 0.3], [1.0, 2.0, 4.0])
    expected = torch.tensor([0.9, 0.4, 0.175]).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    torch.testing.assert_close(layer(torch.ones(2, 3, 4, 4)), expected)


@pytest.mark.row("VIS-02")
def test_padding_a_centred_image_adds_the_mean_intensity():
    layer = Standardize(0.3, 0.2)
    padded = F.pad(layer(torch.rand(1, 1, 4, 4)), (1, 1, 1, 1))
    assert (padded * layer.std + layer.mean)[..., 0, :].allclose(layer.mean)


@pytest.mark.row("VIS-02")
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_a_border_of_half_the_kernel_keeps_the_resolution(kernel):
    assert conv_norm(2, 3, kernel)(torch.rand(2, 2, 9, 10)).shape == (2, 3, 9, 10)


def test_constants_travel_with_the_weights():
    saved = nn.Sequential(Standardize(0.1, 0.3)).state_dict()
    other = nn.Sequential(Standardize())
    other.load_state_dict(saved)
    torch.testing.assert_close(other(torch.full((1, 1, 1, 1), 0.4)), torch.ones(1, 1, 1, 1))
