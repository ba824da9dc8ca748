"""Runs of vision."""
