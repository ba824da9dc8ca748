"""Runs of normalizing flows."""
