"""The score function's gradient beside the reparameterised and the enumerated one."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal

from deepcanon.nets.perceptron import mlp
from deepcanon.vae.likelihoods import bernoulli, gaussian, gaussian_learned
from deepcanon.vae.score_function import ScoreFunctionVAE, advantage
from deepcanon.vae.vae import VAE


class Told(nn.Module):
    """An encoder whose outputs are parameters: a row for each example."""

    def __init__(self, code):
        super().__init__()
        self.code = nn.Parameter(code)

    def forward(self, x):
        return self.code


@pytest.mark.row("GEN-15")
@pytest.mark.parametrize("samples", [1, 4])
def test_its_mean_is_the_reparameterised_gradient_and_its_variance_larger(samples):
    n = 20_000
    decoder = nn.Linear(1, 3).double()
    x = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64).expand(n, 3)
    mu, log_sigma = 0.4, -0.3
    code = torch.tensor([[mu, log_sigma]], dtype=torch.float64).expand(n, 2)
    scored = ScoreFunctionVAE(Told(code.clone()), decoder, latent_dim=1, posterior=gaussian_learned, prior=gaussian, samples=samples,
                              likelihood=gaussian)
    pathwise = VAE(Told(code * torch.tensor([1.0, 2.0])), decoder, latent_dim=1, likelihood=gaussian)         # log variance
    (a,) = torch.autograd.grad(scored.elbo(x).sum(), scored.encoder.code)
    (b,) = torch.autograd.grad(pathwise.elbo(x).sum(), pathwise.encoder.code)
    b = b * torch.tensor([1.0, 2.0])                                             # d log variance / d log sigma
    assert ((a.mean(0) - b.mean(0)).abs() < 4 * ((a.var(0) + b.var(0)) / n).sqrt()).all()
    if samples == 1:
        assert (a.var(0) > 5 * b.var(0)).all()


@pytest.mark.row("GEN-15")
def test_with_discrete_latents_its_mean_is_the_enumerated_gradient():
    n = 20_000
    decoder, logits = nn.Linear(2, 3).double(), torch.tensor([[0.5, -1.0]], dtype=torch.float64)
    x = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    method = ScoreFunctionVAE(Told(logits.expand(n, 2).clone()), decoder, latent_dim=2, samples=4)
    (drawn,) = torch.autograd.grad(method.elbo(x.expand(n, 3)).sum(), method.encoder.code)
    leaf = logits.clone().requires_grad_()
    z = torch.tensor(list(itertools.product((0.0, 1.0), repeat=2)), dtype=torch.float64)                      # all four
    log_q = bernoulli(leaf.expand(4, 2)).log_prob(z)
    exact = (log_q.exp() * (method.log_joint(x.expand(4, 3), z) - log_q)).sum()
    (expected,) = torch.autograd.grad(exact, leaf)
    assert ((drawn.mean(0) - expected[0]).abs() < 4 * drawn.std(0) / math.sqrt(n)).all()
    draws = method.elbo(x.expand(n, 3)).detach()
    assert (draws.mean() - exact).abs() < 4 * draws.std() / math.sqrt(n)


@pytest.mark.row("GEN-15")
def test_the_loss_is_the_mean_negative_bound_and_samples_are_of_the_prior():
    method = ScoreFunctionVAE(
        mlp(4, 6),
        mlp(3, 4),
        latent_dim=3,
        posterior=gaussian_learned,
        prior=gaussian,
        samples=2,
        likelihood=gaussian,
    ).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    torch.manual_seed(1)
    loss, measured = method.loss((x,)), method.metrics((x,))["elbo"]
    torch.manual_seed(1)
    mean, log_sigma = method.encoder(x).split(3, 1)
    q, standard = Normal(mean, log_sigma.exp()), Normal(0.0, 1.0)
    for value in (loss, measured):
        z = q.sample((2,))
        joint = Normal(method.decoder(z), 1.0).log_prob(x).sum(2) + standard.log_prob(z).sum(2)
        bound = joint.mean(0) + q.entropy().sum(1)
        torch.testing.assert_close(value, -bound.mean() if value is loss else bound)
    shown = ScoreFunctionVAE(nn.Identity(), nn.Linear(2, 2, bias=False), latent_dim=2)
    with torch.no_grad():
        shown.decoder.weight.copy_(80 * torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    drawn = shown.sample(8_000)  # fair bits b: (s(80 b_1), s(-80 b_2)), s(0) = 1/2
    torch.testing.assert_close(drawn.mean(0), torch.tensor([0.75, 0.25]), atol=0.025, rtol=0)


@pytest.mark.row("GEN-15")
def test_the_advantage_is_what_a_draw_has_over_the_mean_of_the_others():
    r = torch.tensor([[1.0, 5.0], [2.0, 0.0], [6.0, 1.0]])
    expected = torch.tensor([[1.0 - 4, 5.0 - 0.5], [2.0 - 3.5, 0.0 - 3], [6.0 - 1.5, 1.0 - 2.5]])
    torch.testing.assert_close(advantage(r), expected)
    assert torch.equal(advantage(r[:1]), r[:1])


def test_a_model_of_bits_learns():
    method = ScoreFunctionVAE(mlp(8, 16, 3), mlp(3, 16, 8), latent_dim=3)
    x = (torch.rand(64, 1) < 0.5).float().repeat(1, 8)                           # all on or all off: one bit
    optimizer = torch.optim.Adam(method.parameters(), 0.02)
    for _ in range(300):
        optimizer.zero_grad()
        method.loss((x,)).backward()
        optimizer.step()
    assert method.elbo(x).mean() > -2.5                                          # ln 2 would be perfect; 8 ln 2 without a code
    assert set(method.sample(20).unique().tolist()) <= {0.0, 1.0}
