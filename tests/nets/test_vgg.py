"""VGG and the standard convolutional net: shapes and parameters layer by layer, and that it learns."""

import jaxtyping
import pytest
import torch
from torch import nn

from deepcanon.engine import Adam, fit, options
from deepcanon.layers.norm import BatchNorm2d
from deepcanon.nets.conv_net import ConvNet
from deepcanon.nets.vgg import vgg_net
from deepcanon.vision.classify import Classifier

# of each layer with weights: channels in and out, side of its maps, parameters
CONVOLUTIONS = [
    (3, 64, 224, 1792),
    (64, 64, 224, 36928),
    (64, 128, 112, 73856),
    (128, 128, 112, 147584),
    (128, 256, 56, 295168),
    (256, 256, 56, 590080),
    (256, 256, 56, 590080),
    (256, 512, 28, 1180160),
    (512, 512, 28, 2359808),
    (512, 512, 28, 2359808),
    (512, 512, 14, 2359808),
    (512, 512, 14, 2359808),
    (512, 512, 14, 2359808),
]
LINEAR = [(25088, 4096, 102764544), (4096, 4096, 16781312), (4096, 1000, 4097000)]


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.row("VIS-11")
@pytest.mark.parametrize(
    ("depth", "parameters", "with_norm"),
    [
        (11, 132_863_336, 132_868_840),
        (13, 133_047_848, 133_053_736),
        (16, 138_357_544, 138_365_992),
        (19, 143_667_240, 143_678_248),
    ],
)
def test_published_sizes(depth, parameters, with_norm):
    with torch.device("meta"):
        assert count(vgg_net(depth)) == parameters
        normalised = vgg_net(depth, norm=nn.BatchNorm2d)
    widths = sum(layer.out_channels for layer in normalised.modules() if isinstance(layer, nn.Conv2d))
    assert count(normalised) == with_norm - widths  # published with biases that the norm makes idle


@pytest.mark.row("VIS-11", "VIS-06")
def test_the_worked_example_of_vgg_16():
    with torch.device("meta"):
        net, x = vgg_net(16), torch.rand(1, 3, 224, 224)
        maps, pools = [], []
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(
                    lambda layer, _, y: maps.append(
                        (layer.in_channels, layer.out_channels, y.shape[-1], count(layer))
                    )
                )
            if isinstance(layer, nn.MaxPool2d):
                layer.register_forward_hook(lambda _, x, y: pools.append(tuple(y.shape[1:])))
        assert net(x).shape == (1, 1000)
    assert maps == CONVOLUTIONS
    assert pools == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]
    linear = [(m.in_features, m.out_features, count(m)) for m in net.modules() if isinstance(m, nn.Linear)]
    assert linear == LINEAR
    assert linear[0][2] / count(net) == pytest.approx(0.742746, abs=1e-6)
    values = [c * side**2 for _, c, side, _ in maps]
    assert sum(values) + sum(c * h * w for c, h, w in pools) == 15_077_888
    assert sum(values[:2]) / 15_077_888 == pytest.approx(0.426, abs=1e-3)


@pytest.mark.row("VIS-06")
@pytest.mark.parametrize(("pool", "sides"), [(2, [12, 6, 3]), (3, [12, 4, 1])])
def test_a_pooling_of_width_n_divides_the_sides_by_n(pool, sides):
    net, seen = ConvNet([[5], [6]], 4, in_channels=2, image_size=12, hidden=(7,), pool=pool), [12]
    for layer in net.modules():
        if isinstance(layer, nn.MaxPool2d):
            layer.register_forward_hook(lambda _, x, y: seen.append(y.shape[-1]))
    assert net(torch.rand(3, 2, 12, 12)).shape == (3, 4)
    assert seen == sides
    assert net.hidden[0].in_features == 6 * sides[-1] ** 2


@pytest.mark.row("VIS-06")
def test_it_learns_64_pictures_by_heart():
    torch.manual_seed(0)
    x, y = torch.rand(64, 3, 16, 16), torch.randint(5, (64,))
    method = Classifier(ConvNet([[16, 16], [32]], 5, image_size=16, hidden=(64,), dropout=0.0))
    with options(quiet=True):
        fit(method, [(x, y)], Adam(3e-3), steps=80)
    assert method.eval().metrics((x, y))["accuracy"].mean() == 1


@pytest.mark.row("VIS-05", "VIS-06")
def test_with_global_pooling_it_reads_any_size():
    net = ConvNet([[4], [6]], 3, in_channels=1, hidden=(8,), global_pool=True).eval()
    assert net(torch.rand(2, 1, 9, 13)).shape == net(torch.rand(2, 1, 40, 40)).shape == (2, 3)
    assert net.hidden[0].in_features == 6
    assert net(torch.rand(2, 1, 12, 12)).dtype == torch.float32


@pytest.mark.row("VIS-11")
@pytest.mark.parametrize(("side", "stages"), [(2, 1), (8, 3), (28, 4), (32, 5), (64, 5)])
def test_small_images_get_as_many_stages_as_they_can_be_halved(side, stages):
    net = vgg_net(11, 3, in_channels=1, image_size=side, width=8, hidden=(8,), norm=BatchNorm2d)
    assert len(net.stages) == stages
    assert net(torch.rand(2, 1, side, side)).shape == (2, 3)


def test_dropout_is_in_training_alone():
    net = ConvNet([[4]], 3, in_channels=1, image_size=8, hidden=(64,), dropout=0.5)
    x = torch.rand(1, 1, 8, 8)
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), net(x))


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user meets it
    with pytest.raises(ValueError, match="expected a depth of 11, 13, 16, 19 layers, got 18"):
        vgg_net(18)
    with pytest.raises(
        ValueError, match="2 poolings of 4 x 4 need images of 16 pixels or more, got image_size=15"
    ):
        ConvNet([[4], [4]], 3, image_size=15, pool=4)
    with pytest.raises(ValueError, match="0 poolings"):
        ConvNet([], 3, image_size=16)
    with pytest.raises(ValueError, match=r"expected images \(B, 3, 16, 16\), got \(2, 3, 8, 8\)"):
        ConvNet([[4]], 3, image_size=16, hidden=())(torch.rand(2, 3, 8, 8))
