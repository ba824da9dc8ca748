"""The generator aims at the mean features of the data."""

import pytest
import torch
from torch import nn

from deepcanon.engine import SGD, Trainer
from deepcanon.gans.feature_matching import FeatureMatchingGAN, mean_distance
from deepcanon.layers.spectral import spectral_norm
from deepcanon.nets.perceptron import mlp
from tests.gans.updates import expected_source, played

PLAYERS = "discriminator", "generator"


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
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(loss, list(gan.generator.parameters())))


@pytest.mark.row("GEN-60")
def test_the_losses_are_the_games_and_the_squared_distance_of_the_mean_features():
    gan, x = (
        FeatureMatchingGAN(mlp(2, 6), mlp(6, 8, 7, 1), latent_dim=2).double(),
        torch.randn(5, 6, dtype=torch.float64),
    )
    taken = played(gan, x)
    assert list(taken) == ["discriminator", "generator"]
    first, second = (
        gan.generator(torch.randn(5, 2, dtype=torch.float64)),
        gan.generator(torch.randn(5, 2, dtype=torch.float64)),
    )
    torch.testing.assert_close(
        taken["discriminator"], expected_source(gan.discriminator(x), gan.discriminator(first))
    )
    f = gan.discriminator[:-1]
    torch.testing.assert_close(taken["generator"], ((f(x).sum(0) - f(second).sum(0)) / 5).square().sum())


@pytest.mark.row("GEN-60")
def test_a_step_of_either_player_moves_its_own_weights_alone():
    """The loss of the generator has a gradient in the discriminator, whose features it reads, but no step."""
    class Data:
        def at(self, step):
            return (torch.randn(5, 6),)

    gan, seen = FeatureMatchingGAN(mlp(2, 6), mlp(6, 8, 7, 1), latent_dim=2), []
    weights = {name: getattr(gan, name)[0].weight for name in PLAYERS}

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.generator, self.discriminator = gan.generator, gan.discriminator

        def losses(self, batch):
            for player, loss in gan.losses(batch):
                before = {name: w.clone() for name, w in weights.items()}
                yield player, loss
                moved = [name for name, w in weights.items() if not torch.equal(before[name], w)]
                seen.append((player, moved))

    Trainer(Watched(), Data(), SGD(0.1), total=2).run()
    assert seen == 2 * [("discriminator", ["discriminator"]), ("generator", ["generator"])]


@pytest.mark.row("GEN-60")
def test_samples_are_generated_from_standard_normal_latents():
    gan = FeatureMatchingGAN(nn.Linear(2, 3, bias=False), mlp(3, 4, 1), latent_dim=2)
    torch.manual_seed(1)
    x = gan.sample(4)
    torch.manual_seed(1)
    torch.testing.assert_close(x, torch.randn(4, 2) @ gan.generator.weight.detach().T)


def test_features_stay_those_before_the_last_layer_when_slopes_are_bounded():
    discriminator = spectral_norm(nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 1)), slope=3.0)
    method = FeatureMatchingGAN(nn.Linear(2, 2), discriminator, latent_dim=2)
    assert method.features(torch.randn(4, 2)).shape == (4, 5)
