"""Particles that end as the target's law, and one alone that climbs to its mode."""

import pytest
import torch

from deepcanon.data.toys import density
from deepcanon.energy.svgd import stein_direction, svgd

MEAN = torch.tensor([1.0, -0.5])


def gaussian(x):
    return ((x - MEAN) / torch.tensor([1.0, 0.5])).square().sum(1) / 2


@pytest.mark.row("GEN-85")
def test_particles_match_mean_and_variance_of_a_gaussian():
    x = svgd(lambda x: (x[:, 0] - 2).square() / 8, 3 * torch.randn(100, 1), steps=300, step_size=2.0)
    torch.testing.assert_close(x.mean(0), torch.tensor([2.0]), atol=0, rtol=0.05)
    torch.testing.assert_close(x.var(0), torch.tensor([4.0]), atol=0, rtol=0.05)


@pytest.mark.row("GEN-85")
def test_one_particle_is_gradient_ascent_to_the_mode():
    x = torch.tensor([[3.0, 2.0]])
    torch.testing.assert_close(svgd(gaussian, x, steps=1, step_size=0.1), x - 0.1 * (x - MEAN) / torch.tensor([1.0, 0.25]))
    torch.testing.assert_close(svgd(gaussian, x, steps=300, step_size=0.1), MEAN[None], atol=1e-4, rtol=0)


def test_the_direction_is_the_sum_over_particles():
    x, slopes, h = torch.randn(5, 3), torch.randn(5, 3), 0.7
    expected = torch.stack([sum((-(-(x_j - x_i).square().sum() / h).exp() * (s_j + 2 / h * (x_j - x_i)))
                                for x_j, s_j in zip(x, slopes)) / 5 for x_i in x])
    torch.testing.assert_close(stein_direction(x, slopes, h), expected)
    torch.testing.assert_close(stein_direction(x + 1_000, slopes, h), expected, atol=1e-3, rtol=1e-3)


def test_particles_spread_over_modes():
    mixture = density("eight_gaussians")
    x = svgd(lambda x: -mixture.log_prob(x), 2 * torch.randn(120, 2), steps=200, step_size=0.05)
    nearest = (x[:, None] - mixture.centres).norm(dim=-1).argmin(1)
    assert (nearest.bincount(minlength=8) > 5).all()
