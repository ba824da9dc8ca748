"""A filter for each example: the bank, its selection, its scale."""

import pytest
import torch
import torch.nn.functional as F

from deepcanon.layers.adaptive_conv import AdaptiveConv2d
from deepcanon.nets.gigagan import GigaGenerator


@pytest.mark.row("GEN-78")
def test_it_is_one_convolution_an_example():
    layer, x, w = AdaptiveConv2d(3, 5, 4, num_filters=6), torch.randn(2, 3, 8, 8), torch.randn(2, 4)
    one_by_one = [F.conv2d(x[i : i + 1], layer.filters(w)[i], layer.bias, padding=1) for i in range(2)]
    torch.testing.assert_close(layer(x, w), torch.cat(one_by_one))


@pytest.mark.row("GEN-78")
def test_a_sure_selection_takes_one_filter_of_the_bank_at_unit_scale():
    layer = AdaptiveConv2d(3, 5, 4, num_filters=6)
    with torch.no_grad():
        for linear in (layer.select, layer.modulate):
            linear.weight.zero_(), linear.bias.zero_()
        layer.select.bias[2] = 100.0
    filters = layer.filters(torch.randn(2, 4))
    expected = layer.bank[2] / layer.bank[2].flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    torch.testing.assert_close(filters, expected.expand(2, -1, -1, -1, -1))


@pytest.mark.row("GEN-78")
@pytest.mark.parametrize("demodulate", [True, False])
def test_the_filter_is_the_selected_sum_with_modulated_inputs(demodulate):
    layer, w = (
        AdaptiveConv2d(3, 5, 4, num_filters=6, demodulate=demodulate).double(),
        torch.randn(2, 4, dtype=torch.float64),
    )
    for style, filters in zip(w, layer.filters(w), strict=True):
        share = torch.softmax(layer.select.weight @ style + layer.select.bias, 0)
        chosen = sum(p * k for p, k in zip(share, layer.bank, strict=True))
        gain = 1 + layer.modulate.weight @ style + layer.modulate.bias
        chosen = torch.stack([chosen[:, i] * gain[i] for i in range(3)], 1)
        if demodulate:
            chosen = torch.stack([k / (k.square().sum() + 1e-8).sqrt() for k in chosen])
        torch.testing.assert_close(filters, chosen)


@pytest.mark.row("GEN-78")
def test_the_bank_begins_at_the_scale_that_keeps_variances():
    bank = AdaptiveConv2d(16, 32, 4, num_filters=8, kernel=5).bank
    assert bank.shape == (8, 32, 16, 5, 5)
    assert (bank.std() * (16 * 25) ** 0.5).item() == pytest.approx(1, abs=0.01)


@pytest.mark.row("GEN-78")
def test_a_small_text_conditioned_generator():
    net = GigaGenerator(8, 6, first=4, blocks=2, width=8, channels=3)
    z, words = torch.randn(2, 8), torch.randn(2, 5, 6)
    images = net(z, words)
    assert images.shape == (2, 3, 16, 16)
    assert 0 < images.min() < images.max() < 1
    torch.testing.assert_close(net(z, words.flip(1)), images, atol=1e-5, rtol=1e-4)     # which words, not their order: that is the encoder's
    assert not torch.allclose(net(z, words + 1), images)
    images.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters() if p is not net.blocks[0].key.bias and p is not net.blocks[1].key.bias)


@pytest.mark.row("GEN-78")
def test_a_filter_of_zeros_answers_with_the_bias():
    layer = AdaptiveConv2d(3, 5, 4)
    layer.bank.data.zero_()
    layer.bias.data.copy_(torch.arange(5.0))
    y = layer(torch.randn(2, 3, 6, 6), torch.randn(2, 4))
    assert torch.equal(y, torch.arange(5.0).view(1, 5, 1, 1).expand(2, 5, 6, 6))
