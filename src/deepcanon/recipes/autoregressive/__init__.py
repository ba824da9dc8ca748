"""Runs of autoregressive models."""
