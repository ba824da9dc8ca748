"""Layers trained one after the other."""

import copy

import pytest
import torch
from torch import nn

from deepcanon.vae.autoencoder import Autoencoder
from deepcanon.vae.pretraining import Stage, unrolled
from tests.vae.training import train


@pytest.fixture
def layers():
    return [Autoencoder(nn.Sequential(nn.Linear(a, b), nn.Tanh()), nn.Linear(b, a)) for a, b in ((8, 6), (6, 4), (4, 2))]


@pytest.mark.row("GEN-07")
@pytest.mark.parametrize("k", [0, 1, 2])
def test_a_stage_trains_only_its_layer(layers, k):
    before = copy.deepcopy(layers)
    x = torch.randn(32, 8)
    train(Stage(layers, k), lambda: (x,), 3, 0.1)
    for i, (old, new) in enumerate(zip(before, layers, strict=True)):
        same = all(torch.equal(a, b) for a, b in zip(old.state_dict().values(), new.state_dict().values(), strict=True))
        assert same == (i != k)


@pytest.mark.row("GEN-07")
def test_the_stack_is_the_composition_and_starts_from_the_trained_weights(layers):
    x = torch.randn(32, 8)
    for k in range(3):
        train(Stage(layers, k), lambda: (x,), 60, 0.03)
    whole = unrolled(layers)
    h = x
    for layer in layers:
        h = layer.encode(h)
    assert torch.equal(whole.encode(x), h)
    assert torch.equal(Stage(layers, 2).encode(x), h)
    for layer in reversed(layers):
        h = layer.decode(h)
    assert torch.equal(whole.reconstruct(x), h)


@pytest.mark.row("GEN-07")
def test_fine_tuning_reaches_all_layers_and_goes_on_from_there(layers):
    x = torch.randn(64, 2) @ torch.randn(2, 8)
    fresh = unrolled(copy.deepcopy(layers)).loss((x,))["loss"].item()
    for k in range(3):
        train(Stage(layers, k), lambda: (x,), 150, 0.03)
    whole = unrolled(layers)
    pretrained = whole.loss((x,))["loss"].item()
    whole.loss((x,))["loss"].backward()
    assert all(p.requires_grad and p.grad is not None for p in whole.parameters())
    train(whole, lambda: (x,), 150, 0.01)
    assert whole.loss((x,))["loss"].item() < pretrained < fresh


def test_a_stage_that_does_not_exist_is_refused(layers):
    with pytest.raises(ValueError, match=r"a stage in 0\.\.2, got 3"):
        Stage(layers, 3)


def test_frozen_layers_rest_while_the_next_one_trains():
    below = nn.BatchNorm1d(3)
    stage = Stage([Autoencoder(below, nn.Identity()), Autoencoder(nn.Linear(3, 2), nn.Linear(2, 3))], 1).train()
    stage.loss((5 + torch.randn(20, 3),))
    assert below.running_mean.eq(0).all()
    assert below.training
