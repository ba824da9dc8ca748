"""GoogLeNet: an inception module's branches and cost, published sizes, and the heads in the middle."""

import jaxtyping
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.layers.local_response import LocalResponseNorm
from deepcanon.nets.googlenet import MODULES, GoogLeNet, Inception
from deepcanon.vision.classify import Classifier


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.row("VIS-14")
def test_branches_side_by_side_keep_the_resolution():
    torch.manual_seed(0)
    module, x = Inception(8, 3, 4, 5, 2, 6, 7), torch.randn(2, 8, 9, 7)
    y = module(x)
    assert y.shape == (2, 3 + 5 + 6 + 7, 9, 7)
    assert module.out_channels == 21
    one, three, five, pooled = y.split([3, 5, 6, 7], 1)

    def conv(t, layer):
        return F.conv2d(t, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2).relu()

    branches = module.branches
    torch.testing.assert_close(one, conv(x, branches[0][0]))
    torch.testing.assert_close(three, conv(conv(x, branches[1][0][0]), branches[1][1][0]))
    torch.testing.assert_close(five, conv(conv(x, branches[2][0][0]), branches[2][1][0]))
    torch.testing.assert_close(pooled, conv(F.max_pool2d(x, 3, 1, 1), branches[3][1][0]))
    assert [
        b.weight.shape[-1] for b in (branches[0][0], branches[1][1][0], branches[2][1][0], branches[3][1][0])
    ] == [1, 3, 5, 1]


@pytest.mark.row("VIS-14")
def test_bottlenecks_make_it_cheap():
    direct = nn.Conv2d(192, 32, 5, padding=2)
    five = Inception(192, *MODULES[0]).branches[2]
    assert count(direct) == 153_632
    assert [count(layer) for layer in five] == [3_088, 12_832]
    products = [
        sum(m.weight.numel() for m in net.modules() if isinstance(m, nn.Conv2d)) for net in (direct, five)
    ]
    assert products == [153_600, 15_872]  # multiplications a place


@pytest.mark.row("VIS-14")
def test_published_sizes_and_channels():
    with torch.device("meta"):
        net, x = GoogLeNet(), torch.rand(1, 3, 224, 224)
        seen = []
        for block in net.blocks:
            block.register_forward_hook(lambda _, x, y: seen.append(tuple(y.shape[1:3])))
        assert net(x).shape == (1, 1000)
    assert count(net) == 13_378_280
    assert count(net) - count(net.auxiliary) == 6_998_552
    assert seen == [
        (256, 28),
        (480, 28),
        (512, 14),
        (512, 14),
        (512, 14),
        (528, 14),
        (832, 14),
        (832, 7),
        (1024, 7),
    ]
    assert sum(isinstance(m, LocalResponseNorm) for m in net.modules()) == 2
    assert not any(
        isinstance(m, LocalResponseNorm) for m in GoogLeNet(3, width=0.1, norm=nn.BatchNorm2d).modules()
    )


@pytest.mark.row("VIS-14")
def test_the_heads_in_the_middle_read_what_came_before_them():
    torch.manual_seed(0)
    net = GoogLeNet(5, in_channels=1, width=0.1, small=True, dropout=0.0).eval()
    x = torch.rand(2, 1, 16, 16)
    last, early, late = net.all_logits(x)
    assert last.shape == early.shape == late.shape == (2, 5)
    torch.testing.assert_close(last, net(x))
    with torch.no_grad():
        net.blocks[3].branches[0][0].weight.add_(1)  # behind the early head, before the late one
    again = net.all_logits(x)
    assert torch.equal(again[1], early)
    assert not torch.allclose(again[2], late)
    with torch.no_grad():
        net.blocks[6].branches[0][0].weight.add_(1)
    assert torch.equal(net.all_logits(x)[2], again[2])
    assert not torch.allclose(net.all_logits(x)[0], again[0])


@pytest.mark.row("VIS-14")
def test_the_loss_is_that_of_the_last_head_and_a_share_of_the_others():
    torch.manual_seed(0)
    net = GoogLeNet(5, in_channels=1, width=0.1, small=True, dropout=0.0).eval()
    batch = torch.rand(3, 1, 16, 16), torch.tensor([0, 4, 2])
    last, early, late = (F.cross_entropy(logits, batch[1]) for logits in net.all_logits(batch[0]))
    torch.testing.assert_close(Classifier(net, auxiliary=0.3).loss(batch), last + 0.3 * (early + late))
    torch.testing.assert_close(Classifier(net).loss(batch), last)
    torch.testing.assert_close(Classifier(net, auxiliary=0.3).metrics(batch)["nll"].mean(), last)
    torch.testing.assert_close(Classifier(net, auxiliary=0.3).predict(batch[0]), net(batch[0]).softmax(1))
    smooth = [F.cross_entropy(logits, batch[1], label_smoothing=0.2) for logits in net.all_logits(batch[0])]
    found = Classifier(net, auxiliary=0.5, label_smoothing=0.2).loss(batch)
    torch.testing.assert_close(found, smooth[0] + 0.5 * (smooth[1] + smooth[2]))


@pytest.mark.row("VIS-14")
def test_small_images_keep_their_resolution_in_the_stem():
    x = torch.rand(1, 3, 16, 16)
    sides = [GoogLeNet(3, width=0.1, small=small).stem(x).shape[-1] for small in (True, False)]
    assert sides == [16, 2]


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user meets it
    for width in (0.0, 1.5):
        with pytest.raises(ValueError, match="expected a width as a share of the paper's channels"):
            GoogLeNet(3, width=width)
    with pytest.raises(ValueError, match="expected a weight of further heads of 0 or more, got -1"):
        Classifier(nn.Identity(), auxiliary=-1.0)
    with pytest.raises(ValueError, match=r"expected images \(B, 3, H, W\), got \(2, 1, 8, 8\)"):
        GoogLeNet(3, width=0.1, small=True)(torch.rand(2, 1, 8, 8))


@pytest.mark.row("VIS-14")
@pytest.mark.parametrize("small", [False, True])
def test_the_first_logits_are_small_without_normalisation(small):
    net = GoogLeNet(10, width=0.25, small=small).eval()
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert max(logits.std().item() for logits in net.all_logits(x)) < 2
