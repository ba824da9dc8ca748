"""Runs of energy-based models, associative memories and Markov chains."""
