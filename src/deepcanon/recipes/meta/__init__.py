"""Runs of meta-learning."""
