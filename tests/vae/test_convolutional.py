"""Autoencoders and VAEs of convolutions."""

import pytest
import torch

from deepcanon.vae.convolutional import image_decoder, image_encoder
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


def test_images_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="a multiple of 4 for 2 halvings, got 10"):
        image_encoder(1, 10, (8, 16), 4)
