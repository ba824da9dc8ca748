"""The forward pass of a perceptron with and without a norm; what a hidden layer adds is claim C-024."""

import pytest
import torch
from torch import nn

from deepcanon.nets.perceptron import mlp


@pytest.mark.row("FND-10")
def test_forward_is_a_chain_of_products():
    net = mlp(5, 7, 6, 3, activation=nn.Tanh).double()
    a = x = torch.randn(4, 5, dtype=torch.float64)
    for layer in net:
        a = a.tanh() if isinstance(layer, nn.Tanh) else torch.einsum("bi,oi->bo", a, layer.weight) + layer.bias
    torch.testing.assert_close(net(x), a)


@pytest.mark.row("FND-10")
def test_a_norm_stands_between_the_product_and_the_activation_and_takes_the_bias():
    net = mlp(5, 7, 6, 3, activation=nn.Tanh, norm=nn.LayerNorm).double()
    assert [type(layer).__name__ for layer in net] == [*2 * ["Linear", "LayerNorm", "Tanh"], "Linear"]
    assert [layer.bias is None for layer in net if isinstance(layer, nn.Linear)] == [True, True, False]
    x = torch.randn(4, 5, dtype=torch.float64)
    h = nn.functional.layer_norm(x @ net[0].weight.T, (7,)).tanh()
    h = nn.functional.layer_norm(h @ net[3].weight.T, (6,)).tanh()
    torch.testing.assert_close(net(x), h @ net[6].weight.T + net[6].bias)


@pytest.mark.row("FND-10")
@pytest.mark.parametrize("dims", [(), (5,)])
def test_refuses_fewer_than_two_widths(dims):
    with pytest.raises(ValueError, match="expected an input and an output width, got"):
        mlp(*dims)
    assert len(mlp(5, 3)) == 1
