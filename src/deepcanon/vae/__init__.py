"""Latent variable models trained on a bound of their likelihood."""

from deepcanon.vae.vae import VAE

__all__ = ["VAE"]
