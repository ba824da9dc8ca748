"""What the runs of energy-based models measure."""

import pytest
import torch
from torch import nn

from deepcanon.data.toys import density
from deepcanon.recipes.energy import divergence, ebm_toy


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
