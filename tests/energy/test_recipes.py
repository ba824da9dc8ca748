"""What the runs of energy-based models measure."""

import pytest
import torch
from torch import nn

from deepcanon.data.toys import density
from deepcanon.recipes.energy import divergence, ebm_toy, hopfield_capacity, mcmc_toys


class Known(nn.Module):
    """An energy-based model whose energy is that of a toy, a constant added."""

    def __init__(self, name: str):
        super().__init__()
        self.mixture = density(name)
        self.register_buffer("chains", torch.zeros(1, 2))

    def energy(self, x):
        return 7.0 - self.mixture.log_prob(x)


def test_the_divergence_of_the_density_itself_is_zero_whatever_the_constant():
    assert divergence("moons")(Known("moons"))["kl"] == pytest.approx(0, abs=1e-4)
    assert divergence("moons")(Known("rings"))["kl"] > 1


def test_some_steps_of_the_toy(workplace):
    run = ebm_toy(steps=3, width=16, chain_steps=2)
    assert 0 < run.results["kl"] < 20


@pytest.mark.row("GEN-43")
def test_random_patterns_are_lost_near_the_known_load(workplace):
    """0.138 N for large N; the transition of 200 units is wide."""
    run = hopfield_capacity(units=200, draws=1, stored=6, size=20, steps=20)
    assert 0.09 < run.results["capacity"] < 0.17
    assert run.results["kept"] > 0.8


def test_chains_of_the_toys_are_judged(workplace):
    run = mcmc_toys(chains=4, steps=60, burn_in=10)
    assert run.results["r_hat"] > 0.9
    assert run.results["errors"] > 0
    assert run.seconds > 0
