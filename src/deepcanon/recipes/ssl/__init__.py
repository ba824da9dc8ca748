"""Runs of self-supervised learning."""
