"""Autoencoders and VAEs of convolutions."""

import pytest
import torch
import torch.nn.functional as F

from deepcanon.vae.convolutional import image_decoder, image_encoder, side
from deepcanon.vae.likelihoods import gaussian_learned
from deepcanon.vae.vae import VAE
from tests.vae.training import train


@pytest.mark.row("GEN-20")
def test_it_has_a_mean_and_a_variance_for_each_pixel_and_learns():
    vae = VAE(image_encoder(3, 8, (8, 16), 10), image_decoder(6, 8, (8, 16), 5), latent_dim=5, likelihood=gaussian_learned)
    x = torch.rand(16, 3, 8, 8)
    p = vae.decode(torch.randn(16, 5))
    assert p.mean.shape == p.variance.shape == vae.sample(16).shape == x.shape
    assert (p.variance > 0).all()
    assert p.variance.unique().numel() > 100                                     # each pixel its own
    before = vae.loss((x,))["loss"].item()
    assert train(vae, lambda: (x,), 60, 3e-3).loss((x,))["loss"].item() < before


@pytest.mark.row("GEN-20")
def test_the_nets_are_convolutions_and_one_linear_layer():
    encoder, decoder = image_encoder(3, 8, (8, 16), 10).double(), image_decoder(6, 8, (8, 16), 5).double()
    x, z = torch.rand(2, 3, 8, 8, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    maps = F.silu(encoder[0](x)).reshape(2, 16 * 2 * 2)
    torch.testing.assert_close(encoder(x), F.linear(maps, encoder[-1].weight, encoder[-1].bias))
    maps = F.silu(F.linear(z, decoder[0].weight, decoder[0].bias)).reshape(2, 16, 2, 2)
    torch.testing.assert_close(decoder(z), decoder[-1](maps))
    assert decoder(z).shape == (2, 6, 8, 8)
    assert [side(size, (8,) * n) for size, n in ((8, 2), (24, 3), (7, 0))] == [2, 3, 7]


def test_images_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="a multiple of 4 for 2 halvings, got 10"):
        image_encoder(1, 10, (8, 16), 4)
