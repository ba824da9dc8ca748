"""Runs of the learning basics: linear models, perceptrons, optimizers, initialisation, normalisation, ensembles."""
