"""A net in numpy is the net in torch, and never an old copy of it."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from deepcanon.nets.perceptron import mlp
from deepcanon.rl.acting import NumpyNet, numpy_layers

x = np.random.default_rng(0).standard_normal(4).astype(np.float32)


def in_torch(net):
    with torch.no_grad():
        return net(torch.from_numpy(x)[None])[0].numpy()


@pytest.mark.parametrize("net", [
    mlp(4, 120, 84, 2),
    mlp(4, 8, 2, activation=nn.Tanh),
    nn.Sequential(nn.Sequential(nn.ReLU(), nn.Linear(4, 3, bias=False))),
])
def test_equals_the_net_and_leaves_its_input_alone(net):
    before = x.copy()
    assert numpy_layers(net) is not None
    np.testing.assert_allclose(NumpyNet(net)(x), in_torch(net), atol=1e-6)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("net", [mlp(4, 8, 2), nn.Sequential(nn.Linear(4, 3), nn.GELU())])
def test_rows_are_several_observations(net):
    several = np.stack([x, 2 * x, -x])
    np.testing.assert_allclose(NumpyNet(net).rows(several), [NumpyNet(net)(row) for row in several], atol=1e-6)


def hooked():
    net = nn.Linear(4, 2)
    net.register_forward_hook(lambda module, args, output: 2 * output)
    return net


@pytest.mark.parametrize("net", [
    nn.Sequential(nn.Linear(4, 3), nn.GELU()),
    hooked(),
    nn.utils.parametrizations.spectral_norm(nn.Linear(4, 2)).eval(),
])
def test_other_nets_run_in_torch(net):
    assert numpy_layers(net) is None
    np.testing.assert_array_equal(NumpyNet(net)(x), in_torch(net))


def test_sees_every_change_of_the_weights():
    net, donor = mlp(4, 8, 2), mlp(4, 8, 2)
    acting = NumpyNet(net)

    def follows():
        np.testing.assert_allclose(acting(x), in_torch(net), atol=1e-6)

    follows()
    optimizer = torch.optim.Adam(net.parameters(), 0.1, fused=True)
    net(torch.from_numpy(x)[None]).square().sum().backward()
    optimizer.step()
    follows()
    net.load_state_dict(donor.state_dict())
    follows()
    net.load_state_dict(donor.state_dict(), assign=True)
    follows()
    net[0].weight.data = torch.randn(8, 4)
    follows()
    twin = copy.deepcopy(acting)
    nn.init.zeros_(twin.net[2].weight)
    follows()
    np.testing.assert_allclose(twin(x), in_torch(twin.net), atol=1e-6)
