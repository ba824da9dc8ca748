"""The multilayer perceptron."""

import pytest
import torch
from torch import nn

from deepcanon.nets.perceptron import mlp


def test_an_activation_between_each_two_layers():
    net = mlp(3, 5, 4, 2, activation=nn.Tanh)
    assert [type(layer).__name__ for layer in net] == ["Linear", "Tanh", "Linear", "Tanh", "Linear"]
    assert net(torch.rand(2, 7, 3)).shape == (2, 7, 2)


def test_it_computes_its_equation():
    net = mlp(3, 5, 2).double()
    x = torch.randn(7, 3, dtype=torch.float64)
    hidden = (x @ net[0].weight.T + net[0].bias).clamp(min=0)
    torch.testing.assert_close(net(x), hidden @ net[2].weight.T + net[2].bias)


def test_one_width_is_no_network():
    with pytest.raises(ValueError, match="an input and an output width"):
        mlp(3)
