"""An example's features tell of the rest of its batch."""

import pytest
import torch

from deepcanon.layers.minibatch_discrimination import MinibatchDiscrimination


@pytest.mark.row("GEN-61")
def test_the_output_of_an_example_depends_on_the_others():
    layer, x = MinibatchDiscrimination(5, 3, 2), torch.randn(6, 5)
    y = layer(x)
    assert y.shape == (6, 8)
    assert torch.equal(y[:, :5], x)
    x[1:] += 1
    assert not torch.allclose(layer(x)[0, 5:], y[0, 5:])


@pytest.mark.row("GEN-61")
def test_equal_examples_are_the_most_alike():
    layer = MinibatchDiscrimination(5, 3, 2)
    x = torch.randn(6, 5)
    torch.testing.assert_close(layer.similarity(x[:1].expand(6, 5)), torch.full((6, 3), 6.0))
    assert (layer.similarity(x) < 6).all()


@pytest.mark.row("GEN-61")
def test_the_similarity_is_the_sum_over_pairs_for_every_kernel():
    layer, x = MinibatchDiscrimination(5, 3, 2).double(), torch.randn(6, 5, dtype=torch.float64)
    m = (x @ layer.project.weight.T).view(6, 3, 2)
    for b in range(3):
        pairs = torch.cdist(m[:, b], m[:, b], p=1)
        torch.testing.assert_close(layer(x)[:, 5 + b], torch.exp(-pairs).sum(1))


@pytest.mark.row("GEN-61")
def test_the_similarity_by_hand():
    layer = MinibatchDiscrimination(2, 1, 2)
    with torch.no_grad():
        layer.project.weight.copy_(torch.eye(2))
    o = layer.similarity(torch.tensor([[0.0, 0.0], [1.0, 0.5]]))
    torch.testing.assert_close(o, torch.full((2, 1), 1 + torch.tensor(-1.5).exp().item()))
