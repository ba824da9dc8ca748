"""Colours and pixels given back."""

import pytest
import torch
from torch import nn

from deepcanon.nets.perceptron import mlp
from deepcanon.vae.autoencoder import Autoencoder
from deepcanon.vae.denoising import masking
from deepcanon.vae.likelihoods import gaussian
from deepcanon.vae.restoration import greyscale, inpaint, restorer
from deepcanon.vae.vae import VAE
from tests.vae.training import train


def coloured(n=128):
    """Images of one colour, red or blue with equal chances, each as bright as the other when grey."""
    x = torch.zeros(n, 3, 2, 2)
    x[torch.arange(n), 2 * (torch.arange(n) % 2)] = 0.9
    return x


def colour_autoencoder():
    encoder = nn.Sequential(nn.Flatten(), mlp(12, 16, 4, activation=nn.Tanh))
    return Autoencoder(encoder, nn.Sequential(mlp(4, 16, 12, activation=nn.Tanh), nn.Unflatten(1, (3, 2, 2))))


@pytest.mark.row("GEN-09")
def test_where_the_colour_may_be_either_of_two_the_best_answer_is_their_mean():
    x = coloured()
    method = train(colour_autoencoder(), lambda: (x,), 300, 0.01)
    assert method.loss((x,))["loss"] < 1e-4
    tuned = train(restorer(method, greyscale), lambda: (x,), 300, 0.01)
    torch.testing.assert_close(tuned.reconstruct(greyscale(x[:2])), x.mean(0).expand(2, -1, -1, -1), atol=5e-3, rtol=0)


@pytest.mark.row("GEN-09")
def test_restoration_starts_from_the_trained_weights_and_leaves_them_alone():
    method, x = colour_autoencoder(), coloured()
    tuned = restorer(method, greyscale)
    assert torch.equal(tuned.reconstruct(x), method.reconstruct(x))
    before = [p.clone() for p in method.parameters()]
    train(tuned, lambda: (x,), 2, 0.1)
    assert all(torch.equal(a, b) for a, b in zip(before, method.parameters(), strict=True))


@pytest.mark.row("GEN-23")
def test_a_vae_trained_on_masked_images_inpaints():
    """Images of smooth waves: a pixel is known from its neighbours."""
    def waves(n=128):
        phase, tilt = 6.3 * torch.rand(n, 1, 1, 1), torch.rand(n, 1, 1, 1)
        i = torch.arange(6.0)
        return 0.5 + 0.4 * torch.sin(phase + 0.7 * i.view(6, 1) + tilt * i)

    net = nn.Sequential(nn.Flatten(), mlp(36, 64, 8)), nn.Sequential(mlp(4, 64, 36), nn.Unflatten(1, (1, 6, 6)))
    vae = VAE(*net, latent_dim=4, likelihood=lambda mean: gaussian(mean, 0.1), corrupt=masking(0.3))
    train(vae, lambda: (waves(),), 800, 5e-3)
    x = waves(256)
    known = torch.rand_like(x) > 0.3
    filled = inpaint(vae.reconstruct, x, known, steps=5)
    assert torch.equal(filled[known], x[known])
    mean_pixel = waves(1_000).mean(0).expand_as(x)
    assert (filled - x)[~known].square().mean() < 0.5 * (mean_pixel - x)[~known].square().mean()


@pytest.mark.row("GEN-23")
def test_what_is_missing_is_filled_in_again_and_again():
    """With a model that adds 1, from 0: as many as there are steps."""
    x, known = torch.rand(4, 5), torch.rand(4, 5) > 0.5
    for steps in (1, 3, 10):
        assert torch.equal(inpaint(lambda z: z + 1, x, known, steps), torch.where(known, x, float(steps)))
    assert torch.equal(inpaint(lambda z: z + 1, x, known), torch.where(known, x, 10.0))


@pytest.mark.row("GEN-09")
def test_grey_is_the_mean_of_the_colours():
    x = torch.tensor([0.0, 0.3, 0.9]).view(1, 3, 1, 1).expand(2, 3, 2, 2)
    torch.testing.assert_close(greyscale(x), torch.full((2, 3, 2, 2), 0.4))


@pytest.mark.row("GEN-23")
def test_unknown_values_are_not_looked_at():
    x, known = torch.rand(4, 5), torch.rand(4, 5) > 0.5
    other = torch.where(known, x, torch.full_like(x, float("nan")))
    assert torch.equal(inpaint(lambda z: z + 1, x, known, 3), inpaint(lambda z: z + 1, other, known, 3))


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="one step or more, got 0"):
        inpaint(torch.relu, torch.rand(2, 3), torch.rand(2, 3) > 0.5, steps=0)
