"""Inference for each data point, where the posterior is known."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from deepcanon.nets.perceptron import mlp
from deepcanon.vae.vae import VAE, kl_standard_normal
from deepcanon.vae.variational import PerPointVI, amortization_gap, bound, refine
from tests.vae.training import train


@pytest.mark.row("GEN-12")
def test_each_posterior_becomes_the_exact_one_and_the_bound_the_likelihood(linear_gaussian):
    vae, exact = linear_gaussian
    x, i = exact.sample((6,)), torch.arange(6)
    method = PerPointVI(vae.decoder, num_points=6, latent_dim=2, samples=64, likelihood=vae.likelihood).double()
    optimizer = torch.optim.Adam(method.posteriors.parameters(), 0.05)
    steps = 800
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / steps)
        for player, loss in method.losses((x, i)):
            if player == "posteriors":
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    (mu, log_var), (mean, log_variance) = method.posterior(i), vae.posterior(x)
    gap = kl_standard_normal((mu - mean) / (log_variance / 2).exp(), log_var - log_variance)
    assert gap.max() < 1e-3                                                      # log p(x) - ELBO = KL(q || p(z|x))
    torch.testing.assert_close(mu, mean, atol=0.02, rtol=0)
    draws = torch.stack([method.elbo(x, i) for _ in range(200)]).detach()
    assert ((draws.mean(0) - exact.log_prob(x)).abs() < 1e-3 + 4 * draws.std(0) / math.sqrt(200)).all()


@pytest.mark.row("GEN-12")
def test_decoder_and_posteriors_take_turns_and_their_numbers_are_as_stated():
    method = PerPointVI(mlp(2, 5), num_points=7, latent_dim=2)
    assert [player for player, _ in method.losses((torch.rand(3, 5), torch.tensor([0, 4, 6])))] == ["decoder", "posteriors"]
    assert method.posteriors.weight.numel() == 7 * (2 + 2)
    _, loss = list(method.losses((torch.rand(3, 5), torch.tensor([0, 4, 6]))))[1]
    loss.backward()
    assert (method.posteriors.weight.grad.abs().sum(1) > 0).tolist() == [True, False, False, False, True, False, True]


@pytest.mark.row("GEN-12")
def test_both_losses_are_the_mean_negative_bound_of_the_drawn_latents():
    method = PerPointVI(mlp(2, 4, 5), num_points=7, latent_dim=2, samples=3).double()
    nn.init.normal_(method.posteriors.weight)
    x, i = torch.rand(4, 5, dtype=torch.float64), torch.tensor([6, 0, 3, 3])
    mu, log_var = method.posteriors.weight[i].split(2, 1)
    q = Normal(mu, (log_var / 2).exp())
    torch.manual_seed(1)
    taken = list(method.losses((x, i)))
    torch.manual_seed(1)
    for player, loss in taken:
        eps = torch.randn(4 * 3, 2, dtype=torch.float64).unflatten(0, (4, 3))
        logits = method.decoder(q.mean[:, None] + q.stddev[:, None] * eps)       # (4, 3, 5)
        energy = (
            binary_cross_entropy_with_logits(logits, x[:, None].expand_as(logits), reduction="none")
            .sum(2)
            .mean(1)
        )
        expected = (energy + kl_divergence(q, Normal(0.0, 1.0)).sum(1)).mean()
        torch.testing.assert_close(loss, expected, msg=f"the loss of the {player}")


@pytest.mark.row("GEN-12")
def test_samples_have_the_mean_and_the_covariance_of_the_model(linear_gaussian):
    vae, exact = linear_gaussian
    n = 40_000
    method = PerPointVI(vae.decoder, num_points=6, latent_dim=2, likelihood=vae.likelihood).double()
    x, covariance = method.sample(n), exact.covariance_matrix
    variance = covariance.diagonal()
    assert ((x.mean(0) - exact.mean).abs() < 4.5 * (variance / n).sqrt()).all()
    spread = ((covariance.square() + variance[:, None] * variance) / n).sqrt()   # of an entry of the estimate
    assert ((x.T.cov() - covariance).abs() < 4.5 * spread).all()


@pytest.mark.row("GEN-14")
def test_a_shifted_encoder_loses_its_divergence_from_the_exact_posterior(linear_gaussian):
    """log p(x) - L(q; x) = KL(q || p(z|x)), and refinement finds p(z|x): the gap is that divergence."""
    vae, exact = linear_gaussian
    x = exact.sample((5,))
    mean, log_variance = (t.detach() for t in vae.posterior(x))
    with torch.no_grad():
        vae.encoder.bias += torch.tensor([0.3, -0.2, 0.5, -0.7])  # of the two means, of the two log variances
    mu, log_var = (t.detach() for t in vae.posterior(x))
    exactly = Normal(mean, (log_variance / 2).exp())
    gap = kl_divergence(Normal(mu, (log_var / 2).exp()), exactly).sum(1)
    torch.testing.assert_close(amortization_gap(vae, x, steps=150, samples=40_000), gap, atol=0.06, rtol=0)


@pytest.mark.row("GEN-14")
def test_a_net_for_all_points_bounds_no_better_than_a_posterior_for_each():
    def parities(n):
        a, b = torch.randint(2, (2, n, 1)).float()
        return torch.cat([a, b, (a - b).abs()], 1).repeat(1, 2)

    vae = train(VAE(mlp(6, 4), mlp(2, 16, 6), latent_dim=2), lambda: (parities(64),), 300, 0.02)
    torch.manual_seed(0)
    gap = amortization_gap(vae, parities(20), samples=20_000)
    assert gap.min() > -0.05                                                     # 0, but for the draws
    assert gap.mean() > 0


@pytest.mark.row("GEN-14")
def test_an_exact_encoder_has_no_gap(linear_gaussian):
    vae, exact = linear_gaussian
    x = exact.sample((5,))
    mu, log_var = refine(vae, x, steps=100)
    expected = vae.posterior(x)
    torch.testing.assert_close(mu, expected[0].detach(), atol=0.05, rtol=0)
    torch.testing.assert_close(log_var, expected[1].detach(), atol=0.1, rtol=0)
    assert all(p.grad is None for p in vae.parameters())
    draws = bound(x, *expected, vae.decode, 50_000)
    torch.testing.assert_close(draws.detach(), exact.log_prob(x), atol=0.05, rtol=0)


def test_missing_numbers_of_points_are_refused():
    with pytest.raises(ValueError, match="the numbers i of the points are missing"):
        next(PerPointVI(mlp(2, 5), num_points=7, latent_dim=2).losses((torch.rand(3, 5),)))
