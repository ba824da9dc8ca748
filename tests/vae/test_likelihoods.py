"""Likelihoods against their closed forms, and as probabilities that sum to one."""

import math

import pytest
import torch
import torch.nn.functional as F

from deepcanon.vae.likelihoods import bernoulli, categorical, check, discretized_logistic, gaussian, gaussian_learned, logistic_mixture

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


@pytest.mark.row("GEN-11")
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_a_mixture_of_logistics_sums_to_one_and_is_the_weighted_sum(levels):
    output = torch.randn(1, 6, dtype=torch.float64) * 0.7 - 0.5                  # two components: weights, centres, log scales
    x = torch.arange(levels, dtype=torch.float64).unsqueeze(1) / (levels - 1)
    p = logistic_mixture(output.expand(levels, 6), 2, levels).log_prob(x).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-9)
    parts = [discretized_logistic(output[:, [2 + m, 4 + m]].expand(levels, 2), levels).log_prob(x).exp() for m in (0, 1)]
    weights = output[0, :2].softmax(0)
    torch.testing.assert_close(p, weights[0] * parts[0] + weights[1] * parts[1])


def test_channels_of_a_mixture_are_told_apart():
    output = torch.randn(4, 3 * 5 * 2, 3, 3)
    p = logistic_mixture(output, 5)
    assert p.event_shape == (2, 3, 3)
    assert p.sample().shape == p.mean.shape == (4, 2, 3, 3)
    alone = logistic_mixture(output[:, 1::2], 5)                                 # channels are fastest: the second one's
    torch.testing.assert_close(p.mean[:, 1:], alone.mean)


@pytest.mark.parametrize("p", [bernoulli(torch.zeros(2, 3)), categorical(torch.zeros(2, 17 * 3), 17), discretized_logistic(torch.zeros(2, 6), 17),
                               logistic_mixture(torch.zeros(2, 18), 2, 17)])
def test_data_that_a_likelihood_cannot_mean_are_refused(p):
    levels = torch.tensor([[0, 1 / 16, 1.0], [0.5, 0.25, 0.75]])
    assert check(p, levels) is levels
    with pytest.raises(ValueError, match=r"values in \[0, 1\], got some from 0 to 16"):
        check(p, 16 * levels)
    with pytest.raises(ValueError, match=r"of the shape that the decoder makes, \(3,\), got \(1, 3\)"):
        check(p, levels.unsqueeze(1))


def test_values_between_the_levels_are_refused_and_any_are_real_numbers():
    x = torch.rand(2, 3) * 0.05 + 0.005
    assert check(gaussian(torch.zeros(2, 3)), 100 * x).shape == (2, 3)
    assert check(bernoulli(torch.zeros(2, 3)), x) is x
    with pytest.raises(ValueError, match=r"on the 17 levels 0, 1/16, \.\.\., 1, got others between"):
        check(categorical(torch.zeros(2, 17 * 3), 17), x)
