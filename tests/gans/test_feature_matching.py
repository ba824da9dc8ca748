"""The generator aims at the mean features of the data."""

import pytest
import torch
from torch import nn

from deepcanon.gans.feature_matching import FeatureMatchingGAN, mean_distance
from deepcanon.layers.spectral import spectral_norm
from deepcanon.nets.perceptron import mlp


@pytest.mark.row("GEN-60")
def test_the_squared_distance_of_the_means():
    x = torch.randn(5, 3)
    assert mean_distance(x, x).item() == 0
    assert mean_distance(x, x + torch.tensor([1.0, -2.0, 0.0])).item() == pytest.approx(5)
    assert mean_distance(x, x.flip(0)).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.row("GEN-60")
def test_the_features_are_the_last_activations_and_only_the_generator_learns_from_them():
    gan = FeatureMatchingGAN(mlp(2, 6), mlp(6, 8, 7, 1), latent_dim=2)
    x = torch.randn(4, 6)
    f = gan.features(x)
    assert f.shape == (4, 7)
    assert (f >= 0).all()
    torch.testing.assert_close(gan.discriminator[-1](f), gan.discriminator(x))
    goal = gan.features(x)
    assert not mean_distance(goal, f.detach()).requires_grad                       # the goal carries no gradient to the discriminator
    updates = gan.losses((x,))
    next(updates)
    player, loss = next(updates)
    assert player == "generator"
    assert all(g is not None for g in torch.autograd.grad(loss, list(gan.generator.parameters())))


def test_features_stay_those_before_the_last_layer_when_slopes_are_bounded():
    discriminator = spectral_norm(nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 1)), slope=3.0)
    method = FeatureMatchingGAN(nn.Linear(2, 2), discriminator, latent_dim=2)
    assert method.features(torch.randn(4, 2)).shape == (4, 5)
