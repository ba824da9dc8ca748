"""Runs of diffusion and score models."""
