"""Bits per dimension."""

import math

import pytest
import torch

from deepcanon.metrics.likelihood import bits_per_dim


@pytest.mark.row("MET-08")
def test_uniform_pixels_of_eight_bits_take_eight_bits():
    log_prob = torch.full((3,), 12 * math.log(1 / 256), dtype=torch.float64)
    torch.testing.assert_close(bits_per_dim(log_prob, 12), torch.full((3,), 8.0, dtype=torch.float64))
    torch.testing.assert_close(bits_per_dim(torch.zeros(3), 12, levels=256), torch.full((3,), 8.0))           # the uniform density on [0, 1]


@pytest.mark.row("MET-08")
def test_it_is_the_base_two_logarithm_a_dimension():
    p = torch.rand(50, dtype=torch.float64)
    torch.testing.assert_close(bits_per_dim(p.log(), 7), -p.log2() / 7)
    torch.testing.assert_close(bits_per_dim(torch.tensor(-1.0), 1), torch.tensor(1 / math.log(2)))            # a nat is 1.44 bits


@pytest.mark.row("MET-08")
def test_a_density_of_dequantised_values_bounds_the_levels_from_above():
    """Jensen: the mean of log p over a level's interval is at most the log of its probability."""
    density, levels = torch.distributions.Beta(torch.tensor(2.0).double(), torch.tensor(5.0).double()), 8
    edges = torch.linspace(0, 1, levels + 1, dtype=torch.float64)
    u = (torch.arange(2_000, dtype=torch.float64) + 0.5) / 2_000
    fine = (edges[:-1, None] + u / levels).flatten()
    probability = (density.log_prob(fine).exp().view(levels, -1).mean(1) / levels)
    dequantised = (probability * bits_per_dim(density.log_prob(fine), 1, levels).view(levels, -1).mean(1)).sum()
    exact = (probability * bits_per_dim(probability.log(), 1)).sum()
    assert exact < dequantised < exact + 0.2


def test_no_dimensions_are_refused():
    with pytest.raises(ValueError, match="one dimension and one level or more, got 0 and 1"):
        bits_per_dim(torch.zeros(3), 0)
