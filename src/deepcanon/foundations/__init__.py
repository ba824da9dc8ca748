"""The learning basics: risk, losses, simple models, gradients, optimizers, initialisation, normalisation, ensembles, information."""
