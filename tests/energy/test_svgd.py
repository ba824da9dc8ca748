"""Particles that end as the target's law, and one alone that climbs to its mode."""

import math

import pytest
import torch

from deepcanon.data.toys import density
from deepcanon.energy.stein_variational import stein_direction, svgd

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


def test_particles_spread_over_modes():
    mixture = density("eight_gaussians")
    x = svgd(lambda x: -mixture.log_prob(x), 2 * torch.randn(120, 2), steps=200, step_size=0.05)
    nearest = (x[:, None] - mixture.centres).norm(dim=-1).argmin(1)
    assert (nearest.bincount(minlength=8) > 5).all()


@pytest.mark.row("GEN-85")
@pytest.mark.parametrize("bandwidth", [None, 0.7])
def test_the_direction_as_products_of_matrices_is_the_sum_of_differences(bandwidth):
    """Far from the origin too."""
    x, slopes = torch.randn(2, 40, 3, dtype=torch.float64)
    difference = x[:, None] - x
    distance = difference.square().sum(-1)
    h = distance.median() / math.log(41) if bandwidth is None else bandwidth
    k = (-distance / h).exp()
    plain = (-k @ slopes + 2 / h * (k[:, :, None] * difference).sum(1)) / 40
    for centre in (0.0, 1e4):
        torch.testing.assert_close(stein_direction(x + centre, slopes, bandwidth), plain, atol=1e-6, rtol=0)


def test_many_particles_of_many_dimensions_fit():
    """Pairs times dimensions, 2,000^2 x 2,000 numbers, would be 32 GB."""
    x = torch.randn(2_000, 2_000)
    assert stein_direction(x, x).isfinite().all()


def test_particles_that_coincide_move_as_one():
    x = torch.full((5, 2), 0.3)
    torch.testing.assert_close(stein_direction(x, torch.ones(5, 2)), -torch.ones(5, 2))
    most = torch.cat([x, torch.tensor([[7.1, 3.0]])])                            # the median distance is 0
    assert stein_direction(most, torch.zeros(6, 2)).abs().max() < 1


@pytest.mark.parametrize("how", [{"steps": -1}, {"step_size": 0.0}, {"step_size": -0.1}, {"bandwidth": 0.0}])
def test_senseless_settings_are_refused(how):
    with pytest.raises(ValueError, match="expected steps >= 0, step_size > 0 and bandwidth > 0, got"):
        svgd(gaussian, torch.zeros(1, 2), **({"steps": 1, "step_size": 0.1} | how))
