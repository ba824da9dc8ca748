"""Autoencoders: what bottlenecks, linear nets, convolutions and codes drawn at random do."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from deepcanon.metrics.mean_discrepancy import gaussian, mmd
from deepcanon.nets.conv_coder import conv_decoder, conv_encoder
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.autoencoder import Autoencoder
from deepcanon.vae.likelihoods import gaussian as normal
from deepcanon.vae.vae import VAE
from tests.vae.training import train


@pytest.fixture
def ellipsoid():
    """300 points in five dimensions, of three wide and two narrow directions, about 0."""
    x = torch.randn(300, 5, dtype=torch.float64) * torch.tensor([3.0, 2.0, 1.2, 0.5, 0.3])
    x = (x - x.mean(0)) @ torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64)).Q
    return x, torch.linalg.eigh(x.T @ x / 300)


@pytest.mark.row("GEN-02")
@pytest.mark.parametrize("k", [1, 3])
def test_a_linear_autoencoder_finds_the_principal_subspace(ellipsoid, k):
    x, (values, vectors) = ellipsoid
    method = train(Autoencoder(nn.Linear(5, k).double(), nn.Linear(k, 5).double()), lambda: (x,), 1_500, 0.03)
    learned = torch.linalg.qr(method.decoder.weight.detach()).Q
    cosines = torch.linalg.svdvals(learned.T @ vectors[:, -k:])
    assert torch.acos(cosines.clamp(max=1)).max() < 1e-2                         # the largest principal angle, radians
    assert method.loss((x,))["loss"].item() * 5 == pytest.approx(values[:-k].sum().item(), rel=1e-4)


@pytest.mark.row("GEN-02")
def test_pca_itself_is_a_linear_autoencoder_of_the_least_loss(ellipsoid):
    x, (values, vectors) = ellipsoid
    encoder, decoder = nn.Linear(5, 2, bias=False).double(), nn.Linear(2, 5, bias=False).double()
    with torch.no_grad():
        mixing = torch.randn(2, 2, dtype=torch.float64)                          # the axes are free: any invertible map of the code
        encoder.weight.copy_(mixing @ vectors[:, -2:].T)
        decoder.weight.copy_(vectors[:, -2:] @ torch.linalg.inv(mixing))
    method = Autoencoder(encoder, decoder)
    method.loss((x,))["loss"].backward()
    assert method.loss((x,))["loss"].item() * 5 == pytest.approx(values[:-2].sum().item(), rel=1e-10)
    assert max(p.grad.abs().max() for p in method.parameters()) < 1e-10


@pytest.mark.row("GEN-01")
def test_a_bottleneck_as_wide_as_the_data_loses_nothing_and_a_narrower_one_does():
    torch.manual_seed(1)
    angles = torch.rand(256, 2) * 2 - 1                                          # a curved surface in six dimensions
    x = torch.cat([angles, (2 * angles).sin(), angles.square()], 1)
    losses = [train(Autoencoder(mlp(6, 32, k, activation=nn.Tanh), mlp(k, 32, 6, activation=nn.Tanh)), lambda: (x,), 700, 0.01)
              .loss((x,))["loss"].item() / x.var(0).mean().item() for k in (1, 2, 3)]
    assert losses[0] > 0.05
    assert max(losses[1:]) < 0.005


@pytest.mark.row("GEN-03")
def test_a_convolutional_autoencoder_keeps_the_shape_and_learns_sixteen_images_by_heart():
    x = torch.rand(16, 1, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3) * torch.rand(16, 1, 8, 8).round()
    method = Autoencoder(conv_encoder(1, (32,), 8), conv_decoder(1, (32,), 8))
    assert method.reconstruct(x).shape == x.shape
    assert method.encode(x).shape == (16, 8, 4, 4)
    train(method, lambda: (x,), 250, 0.005)
    assert method.loss((x,))["loss"] < 1e-3


@pytest.mark.row("GEN-08")
def test_codes_drawn_at_random_decode_to_data_with_a_vae_and_not_without():
    def ring(n=256):
        t = 2 * math.pi * torch.rand(n)
        return torch.stack([t.cos(), t.sin()], 1) * 2 + 0.05 * torch.randn(n, 2) + torch.tensor([3.0, 0.0])

    plain = train(Autoencoder(mlp(2, 64, 64, 2), mlp(2, 64, 64, 2)), lambda: (ring(),), 600, 3e-3)
    vae = train(VAE(mlp(2, 64, 64, 4), mlp(2, 64, 64, 2), latent_dim=2, likelihood=partial(normal, sigma=0.15)), lambda: (ring(),), 700, 5e-3)
    kernel, data = gaussian(0.5), ring(1_000)
    without, with_prior = mmd(plain.decode(torch.randn(1_000, 2)), data, kernel), mmd(vae.sample(1_000), data, kernel)
    assert plain.loss((data,))["loss"] < 0.02                                    # it reconstructs, but does not generate
    assert without > 2 * with_prior


def test_a_penalty_is_added_and_logged():
    method = Autoencoder(mlp(6, 3), mlp(3, 6), penalty=lambda h: 2 * h.square().mean())
    terms = method.loss((torch.rand(4, 6),))
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + terms["penalty"])


def test_a_decoder_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"of the shape of the data, \(4, 6\), got \(4, 5\)"):
        Autoencoder(mlp(6, 3), mlp(3, 5)).loss((torch.rand(4, 6),))
