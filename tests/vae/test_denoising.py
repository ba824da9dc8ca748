"""Denoisers of Gaussian data, whose best form is known."""

import pytest
import torch
from torch import nn

from deepcanon.vae.autoencoder import Autoencoder
from deepcanon.vae.denoising import gaussian_noise, masking, score

SIGMA = 0.6


@pytest.fixture
def wiener():
    """The covariance of three-dimensional data, and S (S + s^2 I)^-1."""
    half = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [-0.3, 0.4, 0.9]], dtype=torch.float64)
    covariance = half @ half.T
    return half, covariance, covariance @ torch.linalg.inv(covariance + SIGMA**2 * torch.eye(3))


@pytest.mark.row("GEN-06")
def test_the_best_linear_denoiser_is_the_wiener_filter_and_gives_the_score(wiener):
    half, covariance, expected = wiener
    layer = nn.Linear(3, 3).double()
    method = Autoencoder(layer, nn.Identity(), corrupt=gaussian_noise(SIGMA))
    optimizer = torch.optim.Adam(method.parameters(), 0.02)
    steps = 1_500
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / steps)
        optimizer.zero_grad()
        method.loss((torch.randn(512, 3, dtype=torch.float64) @ half.T,))["loss"].backward()
        optimizer.step()
    torch.testing.assert_close(layer.weight.detach(), expected, atol=1e-2, rtol=0)
    y = torch.randn(20, 3, dtype=torch.float64)
    noisy = torch.distributions.MultivariateNormal(torch.zeros(3).double(), covariance + SIGMA**2 * torch.eye(3).double())
    leaf = y.clone().requires_grad_()
    (exact,) = torch.autograd.grad(noisy.log_prob(leaf).sum(), leaf)
    torch.testing.assert_close(score(method.reconstruct, y, SIGMA), exact, atol=0.1, rtol=0)


@pytest.mark.row("GEN-06")
def test_the_wiener_filter_gives_the_score_exactly(wiener):
    _, covariance, filter_ = wiener
    y = torch.randn(20, 3, dtype=torch.float64)
    exact = -y @ torch.linalg.inv(covariance + SIGMA**2 * torch.eye(3))
    torch.testing.assert_close(score(lambda x: x @ filter_.T, y, SIGMA), exact)


def test_corruptions_have_the_stated_law():
    x = torch.ones(200, 100)
    noise = gaussian_noise(0.5)(x) - x
    assert abs(noise.mean()) < 0.02
    assert noise.std().item() == pytest.approx(0.5, rel=0.02)
    assert (masking(0.3)(x) == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)


def test_measures_compare_what_is_restored_with_what_was_damaged():
    method, x = Autoencoder(nn.Identity(), nn.Identity(), corrupt=masking(0.5)), torch.ones(100, 64)
    torch.manual_seed(0)
    measured = method.metrics((x,))
    assert measured["mse"].max() == 0
    torch.testing.assert_close(measured["restored_mse"], measured["damaged_mse"])                             # it hands on what it sees
    assert measured["damaged_mse"].mean().item() == pytest.approx(0.5, abs=0.05)


def test_bad_corruptions_are_refused():
    with pytest.raises(ValueError, match=r"a deviation above 0, got 0\.0"):
        gaussian_noise(0.0)
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.5"):
        masking(1.5)
