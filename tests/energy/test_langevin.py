"""Langevin chains on a Gaussian, where the law of every step is known."""

import math

import pytest
import torch

from deepcanon.data.toys import density
from deepcanon.energy.langevin_dynamics import langevin, slope


def parabola(x):
    """The energy of N(0, I)."""
    return x.square().sum(-1) / 2


def within_four_errors(x, mean, variance):
    """The moments of n independent draws (n, D) of a Gaussian."""
    n = len(x)
    assert ((x.mean(0) - mean).abs() < 4 * math.sqrt(variance / n)).all()
    assert ((x.var(0) - variance).abs() < 4 * variance * math.sqrt(2 / (n - 1))).all()


@pytest.mark.row("GEN-47")
@pytest.mark.parametrize("eps", [0.05, 0.5, 1.0])
def test_a_chain_on_the_standard_normal_ends_at_the_variance_of_the_discretisation(eps):
    x = torch.zeros(50_000, 2, dtype=torch.float64)
    steps = math.ceil(math.log(1e-4) / math.log(1 - eps)) if eps < 1 else 3
    within_four_errors(langevin(parabola, x, steps=steps, step_size=eps), 0.0, 1 / (1 - eps / 2))


@pytest.mark.row("GEN-47")
def test_every_step_has_the_moments_of_its_recursion():
    x, eps, tau = torch.full((50_000, 1), 3.0, dtype=torch.float64), 0.3, 0.5
    mean, variance = 3.0, 0.0
    for _ in range(4):
        x = langevin(parabola, x, steps=1, step_size=eps, temperature=tau)
        mean, variance = (1 - eps) * mean, (1 - eps) ** 2 * variance + 2 * eps * tau
        within_four_errors(x, mean, variance)


@pytest.mark.row("GEN-47")
def test_the_bias_vanishes_with_the_step():
    variances = [langevin(parabola, torch.randn(200_000, 1, dtype=torch.float64), steps=round(6 / eps), step_size=eps).var().item()
                 for eps in (0.8, 0.4, 0.1)]
    assert variances[0] - 1 > variances[1] - 1 > variances[2] - 1
    assert abs(variances[2] - 1) < 1 / (1 - 0.05) - 1 + 4 * math.sqrt(2 / 200_000)


@pytest.mark.row("GEN-47")
def test_the_slope_is_minus_the_score():
    mixture = density("eight_gaussians")
    x = torch.randn(7, 2)
    weights = (-(x[:, None] - mixture.centres).square().sum(-1) / (2 * mixture.deviation**2)).softmax(1)
    score = (weights @ mixture.centres - x) / mixture.deviation**2
    torch.testing.assert_close(slope(lambda p: -mixture.log_prob(p), x), -score)


def test_between_far_modes_a_chain_does_not_find_the_weights():
    """0.8 and 0.2 are the weights of the two Gaussians; chains that start halfway between them end up in equal parts."""
    x = langevin(lambda p: -density("two_gaussians").log_prob(p), 0.5 * torch.randn(400, 2), steps=150, step_size=0.02)
    assert (x[:, 0] < 0).float().mean() < 0.7


def test_no_temperature_is_gradient_descent():
    x = torch.randn(5, 3)
    torch.testing.assert_close(langevin(parabola, x, steps=4, step_size=0.1, temperature=0.0), x * 0.9**4)


def test_chains_run_without_gradients_and_leave_none():
    x = torch.randn(4, 2, requires_grad=True)
    net = torch.nn.Linear(2, 1)
    with torch.no_grad():
        y = langevin(lambda p: net(p).flatten(), x, steps=2, step_size=0.1)
    assert not y.requires_grad
    assert x.grad is None
    assert net.weight.grad is None


@pytest.mark.parametrize("how", [{"steps": -1}, {"step_size": 0.0}, {"temperature": -1.0}])
def test_senseless_settings_are_refused(how):
    with pytest.raises(ValueError, match="expected steps >= 0, step_size > 0 and temperature >= 0, got"):
        langevin(parabola, torch.zeros(1, 1), **({"steps": 1, "step_size": 0.1} | how))


@pytest.mark.row("GEN-47")
def test_a_chain_is_not_differentiated():
    start = torch.ones(3, 2, requires_grad=True)
    assert not langevin(parabola, start, steps=2, step_size=0.1).requires_grad
    assert not langevin(parabola, start, steps=0, step_size=0.1).requires_grad
