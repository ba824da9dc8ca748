"""Runs of explanation: nets that are looked into, and pictures that are made with them."""
