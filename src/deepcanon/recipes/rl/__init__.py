"""Runs of reinforcement learning."""
