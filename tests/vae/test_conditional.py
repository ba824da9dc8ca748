"""A VAE with a condition."""

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from deepcanon.nets.perceptron import mlp
from deepcanon.vae.conditional import ConditionalVAE, kl_normal
from deepcanon.vae.likelihoods import gaussian
from deepcanon.vae.vae import VAE
from tests.vae.training import train


class Beside(nn.Module):
    """A net of the two inputs side by side."""

    def __init__(self, *dims):
        super().__init__()
        self.net = mlp(*dims)

    def forward(self, x, y):
        return self.net(torch.cat([x, y], 1))


class Deaf(nn.Module):
    """A net that does not listen to its condition."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, y):
        return self.net(x)


def fork(n=128):
    """The answer to y is y or -y, by chance."""
    y = 1 + torch.rand(n, 1)
    return torch.where(torch.rand(n, 1) < 0.5, y, -y) + 0.05 * torch.randn(n, 1), y


@pytest.mark.row("GEN-19")
@pytest.mark.parametrize("prior", [None, mlp(1, 16, 4)])
def test_draws_cover_both_answers_where_a_regression_gives_their_mean(prior):
    vae = ConditionalVAE(Beside(2, 32, 4), Beside(3, 32, 32, 1), latent_dim=2, prior=copy.deepcopy(prior), likelihood=partial(gaussian, sigma=0.2))
    train(vae, fork, 400, 0.02)
    net = mlp(1, 32, 1)
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(150):
        x, y = fork()
        optimizer.zero_grad()
        (net(y) - x).square().mean().backward()
        optimizer.step()
    y = torch.full((400, 1), 1.5)
    x = vae.sample(400, y)
    near = [((x - side).abs() < 0.6).float().mean().item() for side in (1.5, -1.5)]      # three deviations
    assert min(near) > 0.3, near
    assert sum(near) > 0.8, near
    assert net(y[:1]).abs() < 0.5


@pytest.mark.row("GEN-19")
def test_with_a_condition_that_says_nothing_it_is_the_vae():
    vae = VAE(mlp(6, 8, 4), mlp(2, 8, 6), latent_dim=2)
    method = ConditionalVAE(Deaf(vae.encoder), Deaf(vae.decoder), latent_dim=2)
    x, y = torch.rand(9, 6), torch.zeros(9, 1)
    torch.manual_seed(3)
    plain = vae.loss((x,))
    torch.manual_seed(3)
    conditional = method.loss((x, y))
    assert all(torch.equal(plain[name], conditional[name]) for name in plain)


@pytest.mark.row("GEN-19")
def test_the_loss_and_the_bound_with_a_learned_prior_are_those_of_a_draw():
    vae = ConditionalVAE(
        Beside(7, 4), Beside(3, 6), latent_dim=2, prior=mlp(1, 4), beta=0.5, likelihood=gaussian
    ).double()
    x, y = torch.randn(5, 6, dtype=torch.float64), torch.randn(5, 1, dtype=torch.float64)
    torch.manual_seed(1)
    terms, measured = vae.loss((x, y)), vae.metrics((x, y))["elbo"]
    torch.manual_seed(1)
    q, p = (
        Normal(mean, (log_var / 2).exp())
        for mean, log_var in (net.split(2, 1) for net in (vae.encoder(x, y), vae.prior(y)))
    )
    kl = kl_divergence(q, p).sum(1)
    for value in (terms, measured):
        z = q.mean + q.stddev * torch.randn_like(q.mean)
        energy = -Normal(vae.decoder(z, y), 1.0).log_prob(x).sum(1)
        expected = {"loss": energy.mean() + 0.5 * kl.mean(), "reconstruction": energy.mean(), "kl": kl.mean()}
        torch.testing.assert_close(value, expected if value is terms else -energy - kl)


@pytest.mark.row("GEN-19")
def test_kl_of_two_gaussians_equals_torch_distributions():
    mu, log_var, mu_p, log_var_p = torch.randn(4, 7, 3, dtype=torch.float64)
    expected = kl_divergence(Normal(mu, (log_var / 2).exp()), Normal(mu_p, (log_var_p / 2).exp())).sum(-1)
    torch.testing.assert_close(kl_normal(mu, log_var, mu_p, log_var_p), expected, atol=1e-10, rtol=1e-10)


def test_missing_conditions_are_refused():
    vae = ConditionalVAE(Beside(7, 4), Beside(3, 6), latent_dim=2, likelihood=gaussian)
    with pytest.raises(ValueError, match="the conditions y are missing"):
        vae.loss((torch.rand(5, 6),))
    with pytest.raises(ValueError, match="as many in each entry"):
        vae.loss((torch.rand(5, 6), torch.rand(4, 1)))
    with pytest.raises(ValueError, match="needs 3 conditions y"):
        vae.sample(3)
