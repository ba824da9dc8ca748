"""Energy-based models, the chains that sample them, and whether those have converged."""

from deepcanon.energy.diagnostics import bulk_size, effective_sample_size, r_hat, split_r_hat, standard_error
from deepcanon.energy.ebm import EBM
from deepcanon.energy.gibbs_sampling import gibbs
from deepcanon.energy.hopfield import Hopfield
from deepcanon.energy.langevin_dynamics import langevin
from deepcanon.energy.mcmc import mala, metropolis_hastings, random_walk
from deepcanon.energy.stein_variational import svgd

__all__ = [
    "EBM", "Hopfield", "bulk_size", "effective_sample_size", "gibbs", "langevin", "mala", "metropolis_hastings", "r_hat", "random_walk",
    "split_r_hat", "standard_error", "svgd",
]
