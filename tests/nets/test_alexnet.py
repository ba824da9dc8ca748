"""AlexNet, in two towers and in one: shapes and parameters of the papers, towers that do not see each
other.
"""

import jaxtyping
import pytest
import torch
from torch import nn

from deepcanon.layers.local_response import LocalResponseNorm
from deepcanon.nets.alexnet import AlexNet, two_towers


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.row("VIS-09")
def test_published_sizes():
    with torch.device("meta"):
        towers, common = two_towers(), AlexNet()
    assert count(towers) == 60_965_224
    assert count(common) == 61_100_840
    assert towers.hidden[1].weight.shape == (4096, 9216)


@pytest.mark.row("VIS-09", "VIS-10")
def test_shapes_of_the_worked_example():
    with torch.device("meta"):
        net, x = two_towers(), torch.rand(1, 3, 224, 224)
        seen = []
        for layer in net.maps:
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d | LocalResponseNorm):
                layer.register_forward_hook(
                    lambda layer, _, out: seen.append((type(layer).__name__, *out.shape[1:3]))
                )
        assert net(x).shape == (1, 1000)
    kinds = {"Conv2d": "conv", "MaxPool2d": "pool", "LocalResponseNorm": "norm"}
    assert [(kinds[name], channels, side) for name, channels, side in seen] == [
        ("conv", 96, 55),
        ("pool", 96, 27),
        ("norm", 96, 27),
        ("conv", 256, 27),
        ("pool", 256, 13),
        ("norm", 256, 13),
        ("conv", 384, 13),
        ("conv", 384, 13),
        ("conv", 256, 13),
        ("pool", 256, 6),
    ]
    assert [layer.out_features for layer in net.hidden if isinstance(layer, nn.Linear)] == [4096, 4096]


@pytest.mark.row("VIS-09")
def test_every_layer_but_the_last_has_its_relu_and_hidden_ones_dropout():
    net = AlexNet(image_size=32, hidden=(16, 16), widths=(4, 4, 4, 4, 4))
    kinds = [type(layer).__name__ for layer in (*net.maps, *net.hidden)]
    assert all(kinds[i + 1] == "ReLU" for i, kind in enumerate(kinds) if kind in ("Conv2d", "Linear"))
    assert [kinds[i - 1] for i, kind in enumerate(kinds) if kind == "Linear"] == ["Dropout", "Dropout"]
    assert net.hidden[0].p == 0.5


@pytest.mark.row("VIS-09")
def test_the_towers_of_a_grouped_convolution_do_not_see_each_other():
    net = AlexNet(3, image_size=32, widths=(4, 4, 4, 4, 4), hidden=(8, 8), groups=2)
    convolutions = [layer for layer in net.maps if isinstance(layer, nn.Conv2d)]
    assert [layer.groups for layer in convolutions] == [1, 2, 1, 2, 2]
    x = torch.rand(1, 4, 9, 9)
    changed = x.clone()
    changed[:, 2:] += 1
    before, after = convolutions[1](x), convolutions[1](changed)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.allclose(before[:, 2:], after[:, 2:])


@pytest.mark.parametrize("side", [15, 28, 63, 64, 96])
def test_images_of_many_sizes_are_read(side):
    net = AlexNet(5, in_channels=1, image_size=side, widths=(4, 4, 4, 4, 4), hidden=(8, 8))
    assert net(torch.rand(2, 1, side, side)).shape == (2, 5)


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user meets it
    small = AlexNet(3, image_size=16, widths=(4, 4, 4, 4, 4), hidden=(8, 8))
    with pytest.raises(
        ValueError, match="images of 14 pixels are too small for AlexNet's three poolings: give it 15 or more"
    ):
        AlexNet(image_size=14)
    with pytest.raises(ValueError, match=r"expected images \(B, 3, 16, 16\), got \(2, 3, 20, 20\)"):
        small(torch.rand(2, 3, 20, 20))
    with pytest.raises(ValueError, match=r"got \(2, 1, 16, 16\); a grey image is repeated by x.expand"):
        small(torch.rand(2, 1, 16, 16))
    with pytest.raises(
        ValueError,
        match=r"expected floating-point images in \[0, 1\], got torch.uint8; divide 8-bit images by 255",
    ):
        small(torch.zeros(2, 3, 16, 16, dtype=torch.uint8))
