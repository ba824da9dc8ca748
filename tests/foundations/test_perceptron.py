"""The forward pass of a perceptron; what a hidden layer adds is claim C-024."""

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
