"""The forward process, one step at a time and in closed form, and the schedules against diffusers."""

import pytest
import torch
from diffusers import DDPMScheduler

from deepcanon.diffusion.schedules import cosine_schedule, from_beta, linear_schedule, strided


@pytest.mark.row("GEN-51")
def test_single_steps_compose_to_the_closed_form():
    """x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) z carries mean m x_0 and variance v to sqrt(1 - beta_t) m and (1 - beta_t) v + beta_t."""
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    abar, mean, variance = linear_schedule(1000), torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for t in range(1, 1001):
        mean, variance = (1 - beta[t - 1]).sqrt() * mean, (1 - beta[t - 1]) * variance + beta[t - 1]
        torch.testing.assert_close(abar[t].sqrt(), mean, atol=1e-10, rtol=0)
        torch.testing.assert_close(1 - abar[t], variance, atol=1e-10, rtol=0)


@pytest.mark.row("GEN-51")
@pytest.mark.parametrize("schedule", [linear_schedule, cosine_schedule])
def test_schedules_fall_from_data_to_noise(schedule):
    abar = schedule(1000)
    assert abar.shape == (1001,)
    assert abar[0] == 1
    assert (abar.diff() < 0).all()
    assert 0 < abar[-1] < 1e-4


@pytest.mark.parametrize(("schedule", "name"), [(linear_schedule, "linear"), (cosine_schedule, "squaredcos_cap_v2")])
def test_schedules_equal_diffusers(schedule, name):
    expected = DDPMScheduler(1000, beta_schedule=name).alphas_cumprod.double()
    torch.testing.assert_close(schedule(1000)[1:], expected, atol=1e-6, rtol=0)


def test_from_beta_is_the_running_product():
    torch.testing.assert_close(from_beta(torch.tensor([0.5, 0.2])), torch.tensor([1.0, 0.5, 0.4]))


@pytest.mark.parametrize(("steps", "expected"), [(1, [10, 0]), (2, [10, 5, 0]), (5, [10, 8, 6, 4, 2, 0]), (10, [*range(10, -1, -1)])])
def test_strided_times_are_even(steps, expected):
    assert strided(10, steps).tolist() == expected


@pytest.mark.parametrize("steps", [0, 11])
def test_more_steps_than_times_are_refused(steps):
    with pytest.raises(ValueError, match="1 to 10 steps"):
        strided(10, steps)
