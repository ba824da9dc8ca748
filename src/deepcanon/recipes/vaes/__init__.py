"""Runs of autoencoders and latent variable models."""
