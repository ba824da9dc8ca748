"""Latent variable models trained on a bound of their likelihood."""

from deepcanon.vae.prior import CodePrior
from deepcanon.vae.vae import VAE
from deepcanon.vae.vq_vae import VQVAE

__all__ = ["VAE", "VQVAE", "CodePrior"]
