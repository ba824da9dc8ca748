"""One batch chosen once takes the place of each example's own."""

import pytest
import torch
from torch import nn

from deepcanon.layers.virtual_batch_norm import VirtualBatchNorm, WithReference


def net():
    return nn.Sequential(nn.Conv2d(2, 4, 3), VirtualBatchNorm(4, 8), nn.ReLU(), nn.Conv2d(4, 3, 3), VirtualBatchNorm(3, 8))


@pytest.mark.row("GEN-64")
def test_an_output_is_independent_of_its_own_batch():
    model, x = WithReference(net(), torch.randn(8, 2, 7, 7)), torch.randn(5, 2, 7, 7)
    torch.testing.assert_close(model(x)[:1], model(x[:1]))
    torch.testing.assert_close(model(torch.cat([x[:1], 9 * x[1:]]))[:1], model(x[:1]))


@pytest.mark.row("GEN-64")
def test_every_row_is_normalised_by_the_reference_then_scaled_and_shifted():
    layer, a = VirtualBatchNorm(3, 4, eps=0.1).double(), torch.randn(7, 3, 5, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([2.0, -1.0, 0.5])), layer.bias.copy_(torch.tensor([0.0, 3.0, -1.0]))
    for c, (gamma, beta) in enumerate(((2.0, 0.0), (-1.0, 3.0), (0.5, -1.0))):
        mean, var = a[:4, c].mean(), a[:4, c].var(correction=0)
        torch.testing.assert_close(layer(a)[:, c], gamma * (a[:, c] - mean) / (var + 0.1).sqrt() + beta)


@pytest.mark.row("GEN-64")
def test_on_the_reference_it_is_batch_normalisation():
    reference = torch.randn(8, 2, 7, 7)
    model = WithReference(net(), reference)
    conv, _, relu, conv2, _ = model.net
    expected = nn.BatchNorm2d(3)(conv2(relu(nn.BatchNorm2d(4)(conv(reference)))))
    torch.testing.assert_close(model(reference), expected, atol=1e-5, rtol=1e-5)


def test_a_batch_without_its_reference_is_refused():
    with pytest.raises(ValueError, match="the 8 rows of the reference"):
        VirtualBatchNorm(4, 8)(torch.randn(3, 4))
