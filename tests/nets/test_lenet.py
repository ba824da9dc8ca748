"""LeNet-5 against the paper: its maps, its parameters, its digits."""

import jaxtyping
import pytest
import torch
import torch.nn.functional as F

from deepcanon import recipes
from deepcanon.engine import options
from deepcanon.nets.lenet import LeNet


@pytest.mark.row("VIS-08")
def test_sides_and_units_are_those_of_the_paper():
    net = LeNet(image_size=32)
    sides = [32]
    for layer in net.maps:
        layer.register_forward_hook(lambda layer, _, out: sides.append(out.shape[-1]))
    assert net(torch.rand(2, 1, 32, 32)).shape == (2, 10)
    assert sides == [32, 28, 14, 14, 10, 5, 5]                                   # conv, pool, tanh, twice
    assert [p.shape[0] for name, p in net.named_parameters() if name.endswith("weight")] == [6, 16, 120, 84, 10]


@pytest.mark.row("VIS-08")
@pytest.mark.parametrize("image_size", [28, 32])
def test_parameters(image_size):
    assert sum(p.numel() for p in LeNet(image_size=image_size).parameters()) == 61_706


def test_a_28_pixel_image_is_the_32_pixel_image_with_a_border_of_zeros():
    small, large = LeNet(image_size=28), LeNet(image_size=32)
    large.load_state_dict(small.state_dict())
    x = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(small(x), large(F.pad(x, (2, 2, 2, 2))))


@pytest.mark.row("VIS-08")
def test_reads_digits(workplace):
    with options(quiet=True):
        assert recipes.lenet("digits").results["accuracy"] > 0.95


@pytest.mark.parametrize("shape", [(2, 28, 28), (2, 3, 28, 28), (2, 1, 32, 32)])
def test_refuses_images_of_another_shape(shape, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)             # as a user meets it
    with pytest.raises(ValueError, match=r"expected images \(B, 1, 28, 28\), got"):
        LeNet()(torch.rand(shape))


def test_refuses_images_too_small_for_two_convolutions():
    with pytest.raises(ValueError, match="12 pixels or more"):
        LeNet(image_size=11)
