"""beta: what it weighs, what it costs, and a beta that changes."""

import itertools
import math

import pytest
import torch
from torch import nn

from deepcanon.engine import Adam, fit, options
from deepcanon.nets.perceptron import mlp
from deepcanon.vae.likelihoods import gaussian
from deepcanon.vae.schedule import Scheduled, cooling, cycle, ramp
from deepcanon.vae.vae import VAE
from tests.vae.training import train


@pytest.fixture
def lines():
    """Five numbers with principal variances 4, 1, 0.25, 0.04, 0.01."""
    x = torch.linalg.qr(torch.randn(400, 5, dtype=torch.float64)).Q * math.sqrt(400)
    return x * torch.tensor([2.0, 1.0, 0.5, 0.2, 0.1])


@pytest.mark.row("GEN-21")
@pytest.mark.parametrize(("beta", "kept"), [(0.5, 2), (2.0, 1)])
def test_a_linear_vae_drops_the_directions_whose_variance_is_below_beta_sigma_squared(lines, beta, kept):
    x, sigma = lines - lines.mean(0), 1.0                                        # thresholds 0.5 and 2, halfway
    vae = VAE(nn.Linear(5, 6), nn.Linear(3, 5), latent_dim=3, beta=beta, likelihood=lambda mean: gaussian(mean, sigma)).double()
    train(vae, lambda: (x,), 800, 0.03)
    mu, log_var = vae.posterior(x)
    kls = (0.5 * (mu.square() + log_var.exp() - 1 - log_var)).mean(0).detach()
    w = vae.decoder.weight.detach()
    assert (torch.linalg.svdvals(w) > 0.15).sum().item() == kept
    values = torch.linalg.eigvalsh(x.T @ x / 400).flip(0)[:kept]
    torch.testing.assert_close(torch.linalg.svdvals(w)[:kept].square(), values - beta * sigma**2, atol=0.2, rtol=0.1)
    assert kls.sum().item() == pytest.approx(0.5 * (values / (beta * sigma**2)).log().sum().item(), abs=0.1)


@pytest.mark.row("GEN-21")
def test_the_kl_falls_as_beta_grows(lines):
    x = lines.float()
    kls = []
    for beta in (0.1, 1.0, 4.0, 20.0):
        vae = VAE(mlp(5, 16, 4), mlp(2, 16, 5), latent_dim=2, beta=beta, likelihood=gaussian)
        kls.append(train(vae, lambda: (x,), 200, 0.02).loss((x,))["kl"].item())
    assert all(a > b for a, b in itertools.pairwise(kls)), kls
    assert kls[-1] < 0.05


@pytest.mark.row("GEN-21")
def test_with_beta_zero_the_gradient_has_no_kl_term():
    vae, x = VAE(mlp(6, 4), mlp(2, 6), latent_dim=2, beta=0.0), torch.rand(8, 6)
    torch.manual_seed(1)
    terms = vae.loss((x,))
    with_kl = torch.autograd.grad(terms["loss"], list(vae.parameters()), retain_graph=True)
    without = torch.autograd.grad(terms["reconstruction"], list(vae.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(with_kl, without, strict=True))


@pytest.mark.row("GEN-21")
@pytest.mark.parametrize(("schedule", "values"), [
    (ramp(0.0, 2.0, 4), [0, 0.5, 1, 1.5, 2, 2, 2, 2, 2]),
    (cycle(0.0, 1.0, 4), [0, 0.5, 1, 1, 0, 0.5, 1, 1, 0]),
    (cooling(2.0, 1.0, 2), [1 + math.exp(-t / 2) for t in range(9)]),
    (ramp(3.0, 1.0, 4), [3, 2.5, 2, 1.5, 1, 1, 1, 1, 1]),
    (cycle(0.5, 1.0, 4), [0.5, 0.75, 1, 1, 0.5, 0.75, 1, 1, 0.5]),
])
def test_schedules_and_that_only_training_counts(schedule, values):
    scheduled = Scheduled(schedule)
    for value in values:
        scheduled.eval()
        assert scheduled().item() == pytest.approx(value)
        scheduled.train()
        assert scheduled().item() == pytest.approx(value)


class Fixed:
    """The same batch at every step."""

    def __init__(self, x):
        self.x = x

    def at(self, step):
        return (self.x,)


@pytest.mark.row("GEN-21")
def test_a_beta_that_changes_survives_a_resume(tmp_path):
    x = torch.rand(8, 6)

    def run(folder, steps, resume=False):
        torch.manual_seed(0)
        vae = VAE(mlp(6, 4), mlp(2, 6), latent_dim=2, beta=Scheduled(ramp(0.0, 1.0, 8)))
        with options(folder=tmp_path / folder, resume=resume, anyway=resume, quiet=True):
            return fit(vae, Fixed(x), Adam(1e-2), steps=steps).method.state_dict()

    whole = run("whole", 10)
    run("halves", 5)
    (tmp_path / "halves" / "result.json").unlink()                               # as if it had been stopped
    again = run("halves", 10, resume=True)
    assert again["beta.count"].item() == 10
    assert all(torch.equal(value, whole[name]) for name, value in again.items())


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="steps above 0, got 0"):
        Scheduled(ramp(0.0, 1.0, 0))()
