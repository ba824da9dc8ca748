"""Spectral normalisation against singular values and torch's own parametrisation."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from deepcanon.layers.spectral import SpectralNorm, spectral_norm
from deepcanon.nets.perceptron import mlp

LAYERS = {"linear": lambda: nn.Linear(7, 5), "conv": lambda: nn.Conv2d(3, 6, 3), "transposed": lambda: nn.ConvTranspose2d(3, 6, 4)}


@pytest.mark.row("GEN-70")
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_the_power_method_finds_the_largest_singular_value(make):
    layer = make()
    outputs = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    matrix = layer.weight.detach().movedim(outputs, 0).flatten(1)
    norm = SpectralNorm(layer.weight, dim=outputs, iterations=300)
    assert norm.sigma(matrix).item() == pytest.approx(torch.linalg.svdvals(matrix)[0].item(), rel=1e-4)


@pytest.mark.row("GEN-70")
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_step_by_step_it_equals_torchs(make):
    own = make()
    theirs = parametrizations.spectral_norm(make())
    theirs.parametrizations.weight.original.data.copy_(own.weight)
    spectral_norm(own)
    norm, torchs = own.parametrizations.weight[0], theirs.parametrizations.weight[0]
    norm.u.copy_(torchs._u), norm.v.copy_(torchs._v)
    direction = torch.randn_like(own.parametrizations.weight.original)
    for _ in range(3):
        weights = [layer.weight for layer in (own, theirs)]
        torch.testing.assert_close(*weights)
        gradients = [torch.autograd.grad((w * direction).sum(), layer.parametrizations.weight.original)[0]
                     for w, layer in zip(weights, (own, theirs), strict=True)]
        torch.testing.assert_close(*gradients)
    own.eval(), theirs.eval()
    torch.testing.assert_close(own.weight, theirs.weight)
    torch.testing.assert_close(own.weight, own.weight)                               # no step outside training


@pytest.mark.row("GEN-70")
@pytest.mark.parametrize("slope", [1.0, 4.0])
def test_a_normalised_net_has_the_slope_given_at_most(slope):
    net = mlp(6, 32, 32, 1, activation=lambda: nn.LeakyReLU(0.2))
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0, 2)
    net = spectral_norm(net, slope=slope)
    for _ in range(200):
        net(torch.zeros(1, 6))
    net.eval()
    x, y = torch.randn(2, 5_000, 6)
    steepest = ((net(x) - net(y)).abs().flatten() / (x - y).norm(dim=1)).max()
    assert slope / 50 < steepest <= slope * (1 + 1e-4)


@pytest.mark.row("GEN-70")
def test_copies_and_pickles_are_normalised_alike():
    net = spectral_norm(mlp(3, 8, 1), slope=2.0).eval()
    x = torch.randn(4, 3)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        torch.testing.assert_close(other(x), net(x))
        assert not other[0].parametrizations.training
        other.train(), net.train()
        torch.testing.assert_close(other(x), net(x))  # one more step of the power method in both
        assert type(other[0]).__name__ == type(net[0]).__name__
        net.eval()


@pytest.mark.row("GEN-70")
def test_two_passes_before_one_backward():
    net = spectral_norm(mlp(3, 8, 1))
    (net(torch.randn(4, 3)) - net(torch.randn(4, 3))).mean().backward()
    assert all(p.grad is not None for name, p in net.named_parameters() if "weight" in name)


def test_weights_are_normalised_once():
    with pytest.raises(ValueError, match="not normalised yet"):
        spectral_norm(spectral_norm(nn.Linear(3, 2)))
    zero = nn.Linear(3, 2)
    nn.init.zeros_(zero.weight)
    with pytest.raises(ValueError, match="weights that are not 0"):
        spectral_norm(zero)


@pytest.mark.row("GEN-70")
def test_the_net_is_as_steep_as_asked():
    for net in (nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))):
        net.eval()
        plain = copy.deepcopy(net)
        torch.manual_seed(0)
        assert spectral_norm(plain) is plain                                     # in place
        torch.manual_seed(0)
        steep = spectral_norm(copy.deepcopy(net), slope=3.0)
        x = torch.randn(5, 3)
        torch.testing.assert_close(steep(x), 3 * plain(x))
