"""Likelihoods against their closed forms, and as probabilities that sum to one."""

import math

import pytest
import torch
import torch.nn.functional as F

from deepcanon.vae.likelihoods import bernoulli, categorical, discretized_logistic, gaussian, gaussian_learned

PIXELS = torch.arange(256, dtype=torch.float64) / 255


@pytest.mark.row("GEN-11")
def test_gaussian_of_unit_deviation_is_half_the_squared_error():
    mean, x = torch.randn(2, 7, 3, 4, dtype=torch.float64)
    constant = -gaussian(mean).log_prob(x) - 0.5 * (x - mean).square().sum((1, 2))
    torch.testing.assert_close(constant, torch.full((7,), 12 / 2 * math.log(2 * math.pi), dtype=torch.float64))


@pytest.mark.row("GEN-11")
def test_gaussian_with_a_learned_deviation():
    mean, log_sigma, x = torch.randn(3, 7, 3, 4, dtype=torch.float64)
    expected = torch.distributions.Normal(mean, log_sigma.exp()).log_prob(x).sum((1, 2))
    torch.testing.assert_close(gaussian_learned(torch.cat([mean, log_sigma], 1)).log_prob(x), expected)
    torch.testing.assert_close(gaussian(mean, 0.3).log_prob(x), gaussian_learned(torch.cat([mean, mean * 0 + math.log(0.3)], 1)).log_prob(x))


@pytest.mark.row("GEN-11")
def test_bernoulli_is_the_binary_cross_entropy():
    logits, x = torch.randn(7, 1, 4, 4, dtype=torch.float64), torch.rand(7, 1, 4, 4, dtype=torch.float64)
    expected = F.binary_cross_entropy(logits.sigmoid(), x, reduction="none").sum((1, 2, 3))
    torch.testing.assert_close(-bernoulli(logits).log_prob(x), expected)
    zero, one = (bernoulli(logits[:, 0, 0, :1]).log_prob(torch.full((7, 1), v, dtype=torch.float64)).exp() for v in (0.0, 1.0))
    torch.testing.assert_close(zero + one, torch.ones_like(one))


@pytest.mark.row("GEN-11")
@pytest.mark.parametrize(("mean", "log_scale"), [(0.5, -1.0), (-0.3, -2.0), (0.99, -6.0), (1.4, 1.0), (0.2, -9.0)])
def test_discretized_logistic_sums_to_one(mean, log_scale):
    p = discretized_logistic(torch.tensor([[mean, log_scale]], dtype=torch.float64).expand(256, 2))
    torch.testing.assert_close(p.log_prob(PIXELS.unsqueeze(1)).exp().sum().item(), 1.0, atol=1e-9, rtol=0)


@pytest.mark.row("GEN-11")
def test_discretized_logistic_is_a_difference_of_distribution_functions():
    mean, scale = 0.47, 0.05
    p = discretized_logistic(torch.tensor([[mean, math.log(scale)]], dtype=torch.float64).expand(256, 2)).log_prob(PIXELS.unsqueeze(1)).exp()
    edges = torch.sigmoid(((torch.arange(255, dtype=torch.float64) + 0.5) / 255 - mean) / scale)
    torch.testing.assert_close(p, torch.cat([edges, edges.new_ones(1)]) - torch.cat([edges.new_zeros(1), edges]))


@pytest.mark.row("GEN-11")
def test_categorical_sums_to_one_and_is_the_softmax():
    logits = torch.randn(1, 256, dtype=torch.float64)
    p = categorical(logits.expand(256, 256)).log_prob(PIXELS.unsqueeze(1))
    torch.testing.assert_close(p.exp().sum().item(), 1.0, atol=1e-12, rtol=0)
    torch.testing.assert_close(p, logits[0].log_softmax(-1))


@pytest.mark.parametrize(("likelihood", "channels"), [(categorical, 256), (discretized_logistic, 2)])
def test_draws_of_pixels_have_the_stated_mean(likelihood, channels):
    torch.manual_seed(0)
    p = likelihood(0.3 * torch.randn(1, channels * 3, 2, 2, dtype=torch.float64) - 1)
    draws = p.sample((20_000,))
    assert draws.shape == (20_000, 1, 3, 2, 2)
    assert torch.equal((draws * 255).round() / 255, draws)
    assert ((draws.mean(0) - p.mean).abs() < 4.5 * draws.std(0) / math.sqrt(20_000)).all()
