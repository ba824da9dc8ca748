"""Masked convolutions and the two PixelCNNs: what each pixel sees, and drawing with kept activations against whole passes."""

import pytest
import torch
from torch import nn

from deepcanon.layers.causal import AboveConv2d, BeforeConv2d, MaskedConv2d, mask_a, mask_b
from deepcanon.nets.pixelcnn import GatedPixelCNN, PixelCNN
from tests.autoregressive.sight import before, drawn, seen_from


def plain(**sizes) -> PixelCNN:
    return PixelCNN(1, 3, **{"width": 8, "num_layers": 2} | sizes).double()


def gated(channels: int = 1, **sizes) -> GatedPixelCNN:
    return GatedPixelCNN(channels, 3, **{"width": 4, "dilations": (1, 2, 1)} | sizes).double()


@pytest.mark.row("GEN-30")
def test_masks_are_what_comes_before_in_raster_order():
    assert mask_a(3).tolist() == [[True, True, True], [True, False, False], [False, False, False]]
    assert mask_b(3).tolist() == [[True, True, True], [True, True, False], [False, False, False]]


@pytest.mark.row("GEN-30")
def test_type_a_hides_the_pixel_itself_and_type_b_does_not():
    a, b = (MaskedConv2d(1, 1, mask(3)).double() for mask in (mask_a, mask_b))
    order = before(4, 5)
    assert not (seen_from(a, (1, 4, 5)) & ~order).any()
    assert torch.equal(seen_from(b, (1, 4, 5)).diagonal(), torch.ones(20, dtype=torch.bool))
    assert not (seen_from(nn.Sequential(a, b, b), (1, 4, 5)) & ~order).any()
    assert (seen_from(nn.Sequential(b, a), (1, 4, 5)) & ~order).sum() == 0
    assert (seen_from(nn.Sequential(b, b), (1, 4, 5)) & ~order).any()           # two of type B would read the pixel that they predict


@pytest.mark.row("GEN-30")
@pytest.mark.parametrize("net", [plain(), gated(), gated(2), gated(levels=9)], ids=["plain", "gated", "two channels", "levels"])
def test_the_jacobian_is_strictly_causal_in_raster_order(net):
    assert not (seen_from(net, (net.channels, 5, 6)) & ~before(5, 6)).any()


@pytest.mark.row("GEN-30")
@pytest.mark.parametrize("num_layers", [4, 7])
def test_the_plain_stack_has_a_blind_spot_however_deep(num_layers):
    """7 x 7, then 3 x 3: one row above it sees 3 pixels to the right, and one more for each further row. From row 4, column 2 of 6 x 9 pixels:"""
    seen = seen_from(plain(width=16, num_layers=num_layers), (1, 6, 9))[4 * 9 + 2].view(6, 9)
    assert [int(row.sum()) for row in seen] == [9, 8, 7, 6, 2, 0]
    assert all(row.tolist() == sorted(row.tolist(), reverse=True) for row in seen)


@pytest.mark.row("GEN-30")
def test_the_two_stacks_see_all_pixels_before():
    assert torch.equal(seen_from(gated(first=7, dilations=(2, 2)), (1, 6, 7)), before(6, 7))


@pytest.mark.row("GEN-30")
@pytest.mark.parametrize("net", [plain(), gated(), gated(2, first=5, kernel=5), gated(2, levels=9)],
                         ids=["plain", "gated", "two channels, 5 x 5", "levels"])
def test_kept_activations_give_the_outputs_of_whole_passes(net):
    x = torch.rand(3, net.channels, 5, 7, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(drawn(net, x), net(x), atol=1e-12, rtol=0)
        torch.testing.assert_close(drawn(net.float(), x.float()), net(x.float()), atol=1e-6, rtol=0)
    net.double()


@pytest.mark.row("GEN-32")
def test_a_condition_reaches_every_pixel_and_kept_activations_know_it():
    net = gated(condition=nn.Embedding(5, 4).double())
    x, y = torch.rand(1, 1, 4, 5, dtype=torch.float64).expand(5, -1, -1, -1), torch.arange(5)
    with torch.no_grad():
        output = net(x, y)
        torch.testing.assert_close(drawn(net, x, y), output, atol=1e-12, rtol=0)
    assert (output[1:] - output[:1]).abs().amax(1).min() > 1e-6


def test_what_cannot_be_is_refused_in_words():
    with pytest.raises(ValueError, match=r"breaks causality: it lets a pixel see the one 0 below and 1 to the right"):
        MaskedConv2d(1, 1, torch.ones(3, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"expected odd sides, got 2 x 3"):
        MaskedConv2d(1, 1, torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"expected images \(B, 1, H, W\), got \(2, 3, 4, 4\)"):
        gated()(torch.rand(2, 3, 4, 4).double())
    with pytest.raises(ValueError, match="it needs the labels y"):
        gated(condition=nn.Embedding(5, 4))(torch.rand(2, 1, 4, 4))
    with pytest.raises(ValueError, match="it takes no labels y"):
        gated()(torch.rand(2, 1, 4, 4).double(), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="not dilated"):
        BeforeConv2d(1, 1, 3, own=False, dilation=2)
    with pytest.raises(ValueError, match="odd kernel"):
        AboveConv2d(1, 1, 4, own=True)
