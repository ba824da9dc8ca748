"""The bound of several samples, on the model whose likelihood is known."""

import pytest
import torch
from torch import nn

from deepcanon.vae.iwae import IWAE
from deepcanon.vae.vae import VAE


@pytest.fixture
def model(linear_gaussian):
    """A linear-Gaussian VAE with a wrong posterior, and its exact density."""
    vae, exact = linear_gaussian
    with torch.no_grad():
        vae.encoder.bias += 0.5
    return vae, exact


@pytest.mark.row("GEN-10")
def test_the_bound_rises_with_the_samples_up_to_the_likelihood(model):
    vae, exact = model
    x = exact.sample((4,))
    bounds = torch.stack([IWAE(vae, samples=k).bound(x.repeat(1_000, 1)).view(-1, 4).mean(0) for k in (1, 5, 50)])
    assert (bounds.diff(dim=0) > 0).all()
    assert (bounds < exact.log_prob(x) + 1e-2).all()
    torch.testing.assert_close(IWAE(vae, samples=10_000).bound(x), exact.log_prob(x), atol=0.03, rtol=0)


def test_with_one_sample_it_is_the_evidence_lower_bound(model):
    vae, exact = model
    x = exact.sample((1,)).expand(20_000, -1)
    one, elbo = IWAE(vae, samples=1).bound(x), vae.elbo(x)
    error = 4 * ((one.var() + elbo.var()) / 20_000).sqrt()
    assert (one.mean() - elbo.mean()).abs() < error


def test_weights_are_the_ratio_of_densities(model):
    vae, exact = model
    x = exact.sample((3,))
    torch.manual_seed(5)
    weights = IWAE(vae, samples=2).log_weights(x)
    torch.manual_seed(5)
    mu, log_var = (t.repeat(2, 1) for t in vae.posterior(x))
    z = mu + torch.randn_like(mu) * (log_var / 2).exp()
    log_q = torch.distributions.Normal(mu, (log_var / 2).exp()).log_prob(z).sum(1)
    log_p = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1) + vae.decode(z).log_prob(x.repeat(2, 1))
    torch.testing.assert_close(weights, (log_p - log_q).view(2, 3))


def test_at_the_exact_posterior_every_weight_is_the_evidence(linear_gaussian):
    vae, exact = linear_gaussian
    x = exact.sample((3,))
    torch.testing.assert_close(IWAE(vae, samples=4).log_weights(x), exact.log_prob(x).expand(4, 3))
    assert IWAE(vae, samples=4).loss((x,)).isfinite()


@pytest.mark.row("GEN-18")
def test_the_doubly_reparameterised_gradient_has_the_same_mean_and_less_noise(model):
    vae, exact = model
    x, of = exact.sample((2,)).repeat(500, 1), list(vae.parameters())

    def gradients(doubly):
        method = IWAE(vae, samples=20, doubly=doubly)
        return torch.stack([torch.cat([g.flatten() for g in torch.autograd.grad(method.loss((x,)), of)]) for _ in range(60)])

    plain, doubly = gradients(False), gradients(True)
    error = ((plain.var(0) + doubly.var(0)) / len(plain)).sqrt()
    assert ((plain.mean(0) - doubly.mean(0)).abs() < 5 * error + 1e-6).all()
    of_encoder = torch.tensor([name.startswith("encoder") for name, p in vae.named_parameters() for _ in range(p.numel())])
    assert doubly.var(0)[of_encoder].sum() < plain.var(0)[of_encoder].sum() / 5


def test_the_loss_is_the_bound_by_either_gradient(model):
    vae, exact = model
    x, values = exact.sample((8,)), []
    for doubly in (False, True):
        torch.manual_seed(3)
        values.append(IWAE(vae, samples=5, doubly=doubly).loss((x,)))
    torch.testing.assert_close(*values)


def test_the_encoder_sees_the_damaged_data_in_training_only():
    seen = []
    vae = VAE(nn.Linear(4, 4), nn.Linear(2, 4), latent_dim=2, corrupt=torch.zeros_like)
    vae.encoder.register_forward_hook(lambda net, inputs, out: seen.append(float(inputs[0].abs().sum())))
    x = torch.ones(3, 4)
    IWAE(vae, samples=2).loss((x,))
    IWAE(vae, samples=2).metrics((x,))
    assert seen == [0, 12, 12]
