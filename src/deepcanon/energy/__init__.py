"""Energy-based models, the chains that sample them, and whether those have converged."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.energy.diagnostics import (
        bulk_size as bulk_size,
        effective_sample_size as effective_sample_size,
        r_hat as r_hat,
        split_r_hat as split_r_hat,
        standard_error as standard_error,
    )
    from deepcanon.energy.ebm import EBM as EBM
    from deepcanon.energy.gibbs_sampling import Spin as Spin, gibbs as gibbs, ising as ising
    from deepcanon.energy.hopfield import Hopfield as Hopfield
    from deepcanon.energy.langevin_dynamics import langevin as langevin
    from deepcanon.energy.mcmc import (
        Chains as Chains,
        mala as mala,
        metropolis_hastings as metropolis_hastings,
        random_walk as random_walk,
    )
    from deepcanon.energy.stein_variational import svgd as svgd

attach(__name__)
