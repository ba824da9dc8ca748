"""Runs of generative adversarial networks."""
