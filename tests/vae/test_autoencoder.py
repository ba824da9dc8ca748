"""Autoencoders: what bottlenecks, linear nets, convolutions and codes drawn at random do."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.metrics.mean_discrepancy import gaussian, mmd
from deepcanon.nets.conv_coder import conv_decoder, conv_encoder
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.autoencoder import Autoencoder
from deepcanon.vae.likelihoods import gaussian as normal
from deepcanon.vae.sparse import l1
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


@pytest.mark.row("GEN-01", "GEN-06")
def test_the_loss_is_the_mean_squared_error_of_what_is_made_of_damaged_data_and_the_penalty():
    """f h = 2 h, g h = h / 4 + 1, damaged: without its second value."""
    encoder, decoder = nn.Linear(2, 2), nn.Linear(2, 2)
    with torch.no_grad():
        encoder.weight.copy_(2 * torch.eye(2)), encoder.bias.zero_()
        decoder.weight.copy_(torch.eye(2) / 4), decoder.bias.fill_(1.0)
    x = torch.tensor([[4.0, 1.0], [-2.0, 3.0]])
    plain = Autoencoder(encoder, decoder)
    assert {name: value.item() for name, value in plain.loss((x,)).items()} == {
        "loss": (1 + 0.25 + 4 + 0.25) / 4
    }
    assert plain.metrics((x,))["mse"].tolist() == [(1 + 0.25) / 2, (4 + 0.25) / 2]
    assert plain.encode(x).tolist() == [[8, 2], [-4, 6]]
    assert plain.decode(x).tolist() == [[2, 1.25], [0.5, 1.75]]
    assert plain.reconstruct(x).tolist() == [[3, 1.5], [0, 2.5]]

    def damaged(x):
        return x * torch.tensor([1.0, 0.0])

    method = Autoencoder(encoder, decoder, corrupt=damaged, penalty=l1(0.5))
    reconstruction, penalty = (1 + 0 + 4 + 4) / 4, 0.5 * (8 + 4) / 2
    assert {name: value.item() for name, value in method.loss((x,)).items()} == {
        "loss": reconstruction + penalty, "reconstruction": reconstruction, "penalty": penalty}
    assert {name: value.tolist() for name, value in method.metrics((x,)).items()} == {
        "mse": [0.625, 2.125], "restored_mse": [0.5, 4.0], "damaged_mse": [0.5, 4.5]}


@pytest.mark.row("GEN-03")
def test_the_convolutional_nets_are_their_equations():
    """Halvings of 4x4 and SiLU, two residual blocks h + conv1(silu(conv3(silu(h)))), and the mirror image."""
    encoder, decoder = conv_encoder(2, (6, 8), 3).double(), conv_decoder(2, (6, 8), 3).double()
    x = torch.rand(2, 2, 8, 8, dtype=torch.float64)

    def conv(h, layer, **how):
        return F.conv2d(h, layer.weight, layer.bias, **how)

    def residual(h, block):
        narrow, wide = block.change[1], block.change[3]
        assert narrow.weight.shape == (4, 8, 3, 3)
        return h + conv(F.silu(conv(F.silu(h), narrow, padding=1)), wide)

    h = F.silu(conv(x, encoder[0], stride=2, padding=1))
    h = F.silu(conv(h, encoder[2], stride=2, padding=1))
    h = residual(residual(h, encoder[4]), encoder[5])
    z = conv(F.silu(h), encoder[7])
    torch.testing.assert_close(encoder(x), z)
    assert z.shape == (2, 3, 2, 2)
    h = residual(residual(conv(z, decoder[0], padding=1), decoder[1]), decoder[2])
    for layer in (decoder[4], decoder[6]):
        h = F.conv_transpose2d(F.silu(h), layer.weight, layer.bias, stride=2, padding=1)
    torch.testing.assert_close(decoder(z), h)
    assert len(encoder) == 8
    assert len(decoder) == 7


def test_a_decoder_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"of the shape of the data, \(4, 6\), got \(4, 5\)"):
        Autoencoder(mlp(6, 3), mlp(3, 5)).loss((torch.rand(4, 6),))
