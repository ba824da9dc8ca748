"""The VAE against the cases where everything is known: linear-Gaussian models and probabilistic PCA."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from deepcanon import vae
from deepcanon.metrics.mean_discrepancy import gaussian as gaussian_kernel, mmd, mmd_bound
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.likelihoods import gaussian, gaussian_learned
from deepcanon.vae.vae import VAE, kl_standard_normal, reparameterise


class ToPrior(nn.Module):
    """An encoder that knows nothing: q(z|x) = p(z)."""

    def forward(self, x):
        return x.new_zeros(len(x), 4)


@pytest.mark.row("GEN-10")
def test_monte_carlo_over_the_prior_gives_the_exact_density(linear_gaussian):
    vae, exact = linear_gaussian
    vae.encoder = ToPrior()                                                      # log_prob is then log 1/K sum_k p(x|z_k), z_k ~ p(z)
    x = exact.sample((4,))
    p = vae.log_prob(x.repeat(50, 1), samples=500).exp().view(50, 4)           # 50 independent estimates
    error = 4 * p.std(0) / math.sqrt(50)
    assert ((p.mean(0) - exact.log_prob(x).exp()).abs() < error).all()


@pytest.mark.row("GEN-10")
def test_importance_sampling_converges_from_below(linear_gaussian):
    vae, exact = linear_gaussian
    with torch.no_grad():
        vae.encoder.bias += 0.5                                                  # a wrong q: too wide, off centre
    x = exact.sample((4,))
    bounds = torch.stack([vae.log_prob(x.repeat(1_000, 1), samples=k).view(-1, 4).mean(0) for k in (1, 4, 16)])
    assert (bounds.diff(dim=0) > 0).all()
    assert (bounds < exact.log_prob(x) + 1e-3).all()
    torch.testing.assert_close(vae.log_prob(x, samples=12_000), exact.log_prob(x), atol=0.03, rtol=0)


@pytest.mark.row("GEN-10")
def test_samples_have_the_moments_of_the_model(linear_gaussian):
    vae, exact = linear_gaussian
    x = vae.sample(20_000)
    torch.testing.assert_close(x.mean(0), exact.mean, atol=0.05, rtol=0)
    torch.testing.assert_close(x.T.cov(), exact.covariance_matrix, atol=0.1, rtol=0)


def test_elbo_equals_the_log_likelihood_at_the_exact_posterior(linear_gaussian):
    vae, exact = linear_gaussian
    x = exact.sample((4,))
    elbo = vae.elbo(x.repeat(4_000, 1)).view(-1, 4)
    error = 4 * elbo.std(0) / math.sqrt(len(elbo))
    assert ((elbo.mean(0) - exact.log_prob(x)).abs() < error).all()
    torch.testing.assert_close(vae.log_prob(x, samples=1), exact.log_prob(x))    # every importance weight is p(x)


@pytest.mark.row("GEN-16")
def test_gradients_through_a_draw_are_those_of_the_expectation():
    mu, sigma = torch.tensor([0.5, -1.2], dtype=torch.float64), torch.tensor([0.3, 1.5], dtype=torch.float64)
    leaf = torch.stack([mu, 2 * sigma.log()]).requires_grad_()
    torch.manual_seed(0)
    z = reparameterise(*leaf.unsqueeze(1).expand(2, 200_000, 2))                 # one draw each: r = z^2, E r = mu^2 + sigma^2
    (gradient,) = torch.autograd.grad(z.square().mean(0).sum(), leaf)
    d_mu, d_sigma = gradient[0], gradient[1] * 2 / sigma                         # from log sigma^2 to sigma
    scale = 4 / math.sqrt(len(z))
    assert ((d_mu - 2 * mu).abs() < scale * 2 * sigma).all()                     # dr/dmu = 2 z has deviation 2 sigma
    spread = (2 * (mu.square() + 2 * sigma.square()).sqrt())                     # dr/dsigma = 2 eps (mu + sigma eps)
    assert ((d_sigma - 2 * sigma).abs() < scale * spread).all()


@pytest.mark.row("GEN-17")
def test_kl_equals_torch_distributions_and_monte_carlo():
    torch.manual_seed(0)
    mu, log_var = torch.randn(2, 7, 3, dtype=torch.float64)
    q, p = Normal(mu, (log_var / 2).exp()), Normal(torch.zeros_like(mu), 1.0)
    kl = kl_standard_normal(mu, log_var)
    torch.testing.assert_close(kl, kl_divergence(q, p).sum(-1), atol=1e-12, rtol=0)
    z = q.sample((100_000,))
    ratio = (q.log_prob(z) - p.log_prob(z)).sum(-1)
    assert ((ratio.mean(0) - kl).abs() < 4 * ratio.std(0) / math.sqrt(len(z))).all()


@pytest.mark.row("GEN-18")
def test_a_linear_vae_finds_probabilistic_pca():
    """Tipping & Bishop 1999: with the noise at its optimum, the best linear model is W = U (L - s^2 I)^{1/2}, in closed form."""
    torch.manual_seed(0)
    x = torch.randn(300, 5, dtype=torch.float64) * torch.tensor([3.0, 1.5, 0.6, 0.5, 0.4]) @ torch.linalg.qr(torch.randn(5, 5).double()).Q
    values, vectors = torch.linalg.eigh(x.T.cov(correction=0))                   # ascending
    variance = values[:3].mean()
    w = vectors[:, 3:] * (values[3:] - variance).sqrt()
    pca = MultivariateNormal(x.mean(0), w @ w.T + variance * torch.eye(5).double())
    best = pca.log_prob(x).mean()

    vae = VAE(nn.Linear(5, 4), nn.Linear(2, 5), latent_dim=2, likelihood=partial(gaussian, sigma=variance.sqrt().item())).double()
    optimizer = torch.optim.Adam(vae.parameters(), lr=0.02)
    for step in range(1_500):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 1_500)
        optimizer.zero_grad()
        vae.loss((x,))["loss"].backward()
        optimizer.step()
    elbo = torch.stack([vae.elbo(x).detach() for _ in range(300)]).mean(1)
    assert best - 0.02 < elbo.mean() < best + 4 * elbo.std() / math.sqrt(len(elbo))
    learned = vae.decoder.weight.detach()
    torch.testing.assert_close(learned @ learned.T, w @ w.T, atol=0.3, rtol=0)


@pytest.mark.row("GEN-18")
def test_samples_in_the_plane_pass_a_two_sample_test():
    """Kernel two-sample test (Gretton et al. 2012, corollary 16): below the bound, equality is not rejected at the level 5 %."""
    torch.manual_seed(0)
    vae = VAE(mlp(2, 64, 64, 4), mlp(2, 64, 64, 4), latent_dim=2, likelihood=gaussian_learned)
    optimizer = torch.optim.Adam(vae.parameters(), lr=3e-3)

    def banana(n):
        u = torch.randn(n, 2)
        return torch.stack([u[:, 0], u[:, 0].square() - 1 + 0.4 * u[:, 1]], 1)

    n = 500
    kernel, bound = gaussian_kernel(0.5), mmd_bound(n, level=0.05)
    assert mmd(torch.randn(n, 2) + torch.tensor([0.0, 1.0]), banana(n), kernel) > bound     # a wrong distribution is told apart
    for step in range(1_500):
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / 1_500)
        optimizer.zero_grad()
        vae.loss((banana(256),))["loss"].backward()
        optimizer.step()
    assert mmd(vae.sample(n), banana(n), kernel) < bound


@pytest.mark.row("GEN-18", "GEN-21")
def test_the_loss_is_the_cross_entropy_of_a_draw_and_beta_times_the_divergence():
    vae = VAE(mlp(6, 4), mlp(2, 6), latent_dim=2, beta=4.0, corrupt=lambda x: 1 - x).double()
    x = torch.rand(8, 6, dtype=torch.float64)
    torch.manual_seed(1)
    terms = vae.loss((x,))
    torch.manual_seed(1)
    mu, log_var = vae.encoder(1 - x).split(2, 1)
    q = Normal(mu, log_var.exp().sqrt())
    logits = vae.decoder(q.mean + q.stddev * torch.randn_like(mu))
    reconstruction = binary_cross_entropy_with_logits(logits, x, reduction="sum") / 8
    kl = kl_divergence(q, Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(
        terms, {"loss": reconstruction + 4 * kl, "reconstruction": reconstruction, "kl": kl}
    )


@pytest.mark.row("GEN-18")
def test_what_is_measured_is_the_bound_of_undamaged_data_and_pictures_are_the_means_at_the_mean_code():
    vae = VAE(mlp(6, 4), mlp(2, 6), latent_dim=2, beta=4.0, corrupt=lambda x: 1 - x).double()
    x = torch.rand(8, 6, dtype=torch.float64)
    torch.manual_seed(1)
    measured = vae.metrics((x,))["elbo"]
    torch.manual_seed(1)
    mu, log_var = vae.encoder(x).split(2, 1)
    q = Normal(mu, log_var.exp().sqrt())
    logits = vae.decoder(q.mean + q.stddev * torch.randn_like(mu))
    energy = binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    torch.testing.assert_close(measured, -energy - kl_divergence(q, Normal(0.0, 1.0)).sum(1))
    torch.testing.assert_close(vae.encode(x), mu.detach())
    torch.testing.assert_close(vae.reconstruct(x), vae.decoder(mu).sigmoid().detach())


def test_verbs_keep_the_shape_of_the_data():
    vae = VAE(nn.Sequential(nn.Flatten(), mlp(16, 8, 6)), nn.Sequential(mlp(3, 8, 16), nn.Unflatten(1, (1, 4, 4))), latent_dim=3)
    x = torch.rand(5, 1, 4, 4)
    assert vae.sample(7).shape == (7, 1, 4, 4)
    assert vae.reconstruct(x).shape == x.shape
    assert vae.encode(x).shape == (5, 3)
    assert vae.log_prob(x, samples=3).shape == vae.elbo(x).shape == (5,)
    assert set(vae.sample(7).unique().tolist()) <= {0.0, 1.0}


def test_an_encoder_without_variances_is_refused():
    with pytest.raises(ValueError, match=r"mean and log variance, got \(5, 3\)"):
        VAE(mlp(6, 3), mlp(3, 6), latent_dim=3).loss((torch.rand(5, 6),))


def test_what_is_measured_is_named_a_bound():
    kinds = (VAE, vae.IWAE, vae.GumbelVAE, vae.ConditionalVAE, vae.HierarchicalVAE, vae.SemiSupervisedVAE, vae.ScoreFunctionVAE, vae.PerPointVI)
    assert {kind.likelihood_is for kind in kinds} == {"bound"}
