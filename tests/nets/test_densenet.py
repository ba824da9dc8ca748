"""DenseNet: channels that grow by concatenation, gradients to every earlier map, published sizes."""

import jaxtyping
import pytest
import torch
from torch import nn

from deepcanon.nets.densenet import DenseLayer, DenseNet, densenet121, densenet169, densenet_cifar


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.row("VIS-13")
@pytest.mark.parametrize(
    ("build", "parameters"), [(densenet121, 7_978_856), (densenet169, 14_149_480), (densenet_cifar, 769_162)]
)
def test_published_sizes(build, parameters):
    with torch.device("meta"):
        assert count(build()) == parameters


@pytest.mark.row("VIS-13")
def test_channels_grow_by_the_growth_and_the_input_stays():
    torch.manual_seed(0)
    x = first = torch.rand(2, 6, 5, 5)
    for depth in range(1, 6):
        x = DenseLayer(x.shape[1], 3)(x)
        assert x.shape == (2, 6 + 3 * depth, 5, 5)
    assert torch.equal(x[:, :6], first)


@pytest.mark.row("VIS-13")
def test_every_layer_depends_on_every_earlier_map():
    torch.manual_seed(0)
    x = torch.rand(2, 4, 6, 6, requires_grad=True)
    maps = [x]
    layers = [DenseLayer(4 + 3 * depth, 3).eval() for depth in range(4)]
    for layer in layers:
        maps.append(layer(torch.cat(maps, 1))[:, -3:])
    for later in range(1, 5):
        gradients = torch.autograd.grad(maps[later].square().sum(), maps[:later], retain_graph=True)
        assert all(g.abs().flatten(2).sum((0, 2)).min() > 0 for g in gradients)  # every channel of every one


@pytest.mark.row("VIS-13")
def test_a_transition_keeps_a_share_of_the_channels_at_half_the_resolution():
    net, seen = (
        DenseNet(nn.Conv2d(1, 10, 3, padding=1), 10, (2, 3), 4, growth=5, in_channels=1, compression=0.5),
        [],
    )
    for block in net.blocks:
        block.register_forward_hook(lambda _, x, y: seen.append(tuple(y.shape[1:])))
    assert net(torch.rand(2, 1, 9, 9)).shape == (2, 4)
    assert seen == [(20, 9, 9), (10 + 15, 5, 5)]
    assert net.head.in_features == 25


def test_any_size_down_to_a_pixel_and_dropout_in_training_alone():
    net = densenet_cifar(10, 4, 3, in_channels=1, dropout=0.5)
    assert net.eval()(torch.rand(2, 1, 1, 1)).shape == net(torch.rand(2, 1, 17, 11)).shape == (2, 3)
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(net(x), net(x))
    plain = DenseLayer(4, 3, bottleneck=0)
    assert [m.kernel_size for m in plain.modules() if isinstance(m, nn.Conv2d)] == [(3, 3)]
    assert DenseLayer(4, 3, bottleneck=2).new[2].out_channels == 6


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user meets it
    for depth in (4, 21):
        with pytest.raises(ValueError, match="depth must be 6n \\+ 4"):
            densenet_cifar(depth)
    with pytest.raises(ValueError, match=r"expected a compression in \(0, 1\], got 0"):
        DenseNet(nn.Identity(), 3, (1, 1), 3, growth=2, compression=0)
    with pytest.raises(ValueError, match=r"expected images \(B, 3, H, W\)"):
        densenet_cifar(10, 4)(torch.rand(2, 1, 8, 8))
