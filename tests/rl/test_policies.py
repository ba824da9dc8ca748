"""Densities and draws of the policies against torch.distributions."""

import numpy as np
import pytest
import torch
from torch import distributions as D

from deepcanon.rl.policies import categorical, gaussian, log_normal, log_slope


def test_categorical_equals_torch_distributions():
    logits, a = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 3, 2, 1, 1, 0])
    expected = D.Categorical(logits=logits)
    log_prob, entropy = categorical.judge(logits, a)
    torch.testing.assert_close(log_prob, expected.log_prob(a))
    torch.testing.assert_close(entropy, expected.entropy())


def test_gaussian_equals_torch_distributions():
    parameters, a = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)
    mu, log_std = parameters.chunk(2, -1)
    expected = D.Independent(D.Normal(mu, log_std.exp()), 1)
    log_prob, entropy = gaussian.judge(parameters, a)
    torch.testing.assert_close(log_prob, expected.log_prob(a))
    torch.testing.assert_close(entropy, expected.entropy())


def test_the_squashed_density_equals_torch_distributions_and_stays_finite():
    mu, log_std, noise = torch.randn(3, 50, 2, dtype=torch.float64)
    u = mu + log_std.exp() * noise
    squashed = D.TransformedDistribution(D.Independent(D.Normal(mu, log_std.exp()), 1), D.TanhTransform(cache_size=1))
    ours = log_normal(noise, log_std) - log_slope(u)
    near = u.abs().amax(-1) < 8                                                  # beyond, the inverse of tanh has no digits left
    torch.testing.assert_close(ours[near], squashed.log_prob(u.tanh())[near], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(log_slope(torch.tensor([[100.0], [-100.0]])), torch.full((2,), 2 * (np.log(2) - 100)).float())


def test_categorical_draws_follow_the_softmax():
    logits = np.array([[1.0, 0.0, -1.0, 0.5]], np.float32)
    drawn = categorical.draw(logits.repeat(40_000, 0), np.random.default_rng(0))
    p = np.exp(logits[0]) / np.exp(logits[0]).sum()
    expected = 40_000 * p
    assert ((np.bincount(drawn, minlength=4) - expected) ** 2 / expected).sum() < 16.3   # chi-square, 3 degrees of freedom, p = 0.001
    assert categorical.mode(logits).tolist() == [0]


def test_gaussian_draws_have_its_moments():
    parameters = np.array([[1.0, -2.0, np.log(0.5), 0.0]], np.float32)
    drawn = gaussian.draw(parameters.repeat(40_000, 0), np.random.default_rng(0))
    assert drawn.dtype == np.float32
    assert drawn.mean(0) == pytest.approx([1.0, -2.0], abs=0.02)
    assert drawn.std(0) == pytest.approx([0.5, 1.0], abs=0.02)
    assert gaussian.mode(parameters).tolist() == [[1.0, -2.0]]
