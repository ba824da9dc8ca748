"""The contrast whose gradient is that of the likelihood, where the partition function is known."""

import math

import pytest
import torch
from torch import nn

from deepcanon.energy.ebm import EBM
from deepcanon.nets.perceptron import mlp


class Quadratic(nn.Module):
    """E(x) = sum_i k_i (x_i - m_i)^2 / 2: the energy of N(m, diag 1 / k)."""

    def __init__(self, mean, log_precision):
        super().__init__()
        self.mean, self.log_precision = nn.Parameter(mean), nn.Parameter(log_precision)

    def forward(self, x):
        return (self.log_precision.exp() * (x - self.mean).square()).sum(1) / 2

    def draw(self, n):
        return self.mean.detach() + torch.randn(n, len(self.mean), dtype=self.mean.dtype) * (-self.log_precision.detach() / 2).exp()


class Table(nn.Module):
    """A free energy for each of K states."""

    def __init__(self, states: int):
        super().__init__()
        self.energies = nn.Parameter(torch.randn(states, dtype=torch.float64))

    def forward(self, x):
        return self.energies[x[:, 0].long()]


def exactly(net):
    """A sampler of the quadratic energy that needs no chain."""
    return lambda energy, x: net.draw(len(x))


@pytest.mark.row("GEN-44")
def test_the_gradient_is_that_of_the_likelihood_of_a_gaussian():
    mean, log_precision = torch.tensor([0.5, -1.0], dtype=torch.float64), torch.tensor([0.3, -0.4], dtype=torch.float64)
    net, n = Quadratic(mean, log_precision), 100_000
    ebm = EBM(net, net.draw, chains=n, sampler=exactly(net))
    x = torch.randn(n, 2, dtype=torch.float64) + torch.tensor([1.0, 0.0])
    ebm.loss((x,))["loss"].backward()
    k = log_precision.exp()
    log_z = (math.log(2 * math.pi) - net.log_precision) / 2                     # of each dimension
    net_grads = net.mean.grad.clone(), net.log_precision.grad.clone()
    net.zero_grad()
    (net(x).mean() + log_z.sum()).backward()                                    # the negative log-likelihood itself
    errors = 4 * (k / n).sqrt(), 4 * math.sqrt(0.5 / n)  # of k (x - m) and k (x - m)^2 / 2 under the model
    assert ((net_grads[0] - net.mean.grad).abs() < errors[0]).all()
    assert ((net_grads[1] - net.log_precision.grad).abs() < errors[1]).all()


@pytest.mark.row("GEN-44")
def test_the_gradient_over_finitely_many_states_equals_enumeration():
    net, n = Table(5), 50_000
    probability = (-net.energies.detach()).softmax(0)
    ebm = EBM(net, lambda n: torch.zeros(n, 1, dtype=torch.float64), chains=n,
              sampler=lambda energy, x: torch.multinomial(probability, len(x), replacement=True).unsqueeze(1).to(x))
    states = torch.tensor([0, 0, 1, 3, 4, 4, 4, 2], dtype=torch.float64).repeat(n // 8).unsqueeze(1)
    ebm.loss((states,))["loss"].backward()
    share = states[:, 0].long().bincount(minlength=5) / n
    assert ((net.energies.grad - (share - probability)).abs() < 4 * (probability * (1 - probability) / n).sqrt()).all()


@pytest.mark.row("GEN-44")
def test_a_quadratic_energy_finds_mean_and_precision():
    x = torch.tensor([1.0, -2.0]) + torch.randn(2_000, 2) * torch.tensor([0.5, 2.0])
    net = Quadratic(torch.zeros(2), torch.zeros(2))
    ebm = EBM(net, lambda n: torch.randn(n, 2), chains=2_000, sampler=exactly(net))
    optimizer = torch.optim.Adam(ebm.parameters(), lr=0.05)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 400)
        optimizer.zero_grad()
        ebm.loss((x,))["loss"].backward()
        optimizer.step()
    torch.testing.assert_close(net.mean.detach(), x.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(net.log_precision.detach().exp(), 1 / x.var(0), atol=0, rtol=0.1)


@pytest.mark.row("GEN-44")
def test_a_constant_in_the_energy_changes_nothing():
    """The partition function takes it up: the loss does not see it."""
    ebm = EBM(nn.Linear(2, 1), lambda n: torch.zeros(n, 2), chains=4, sampler=lambda energy, x: x)
    x = torch.randn(4, 2)
    first = ebm.loss((x,))["loss"]
    with torch.no_grad():
        ebm.net.bias += 100
    torch.testing.assert_close(ebm.loss((x,))["loss"], first, atol=1e-4, rtol=0)


@pytest.mark.row("GEN-44")
def test_chains_go_on_from_where_they_were_and_some_start_anew():
    ebm = EBM(mlp(2, 1), lambda n: torch.full((n, 2), -1.0), chains=4_000, sampler=lambda energy, x: x + 10, restart=0.1)
    ebm.chains.zero_()
    drawn = ebm.draw(3_000)
    moved = ebm.chains[(ebm.chains != 0).any(1)]
    torch.testing.assert_close(moved.sort(0).values, drawn.sort(0).values)
    assert len(moved) == 3_000
    assert set(moved[:, 0].tolist()) == {10.0, 9.0}
    restarted = (moved[:, 0] == 9).float().mean().item()
    assert abs(restarted - 0.1) < 4 * math.sqrt(0.1 * 0.9 / 3_000)


@pytest.mark.row("GEN-44")
def test_samples_leave_the_chains_alone_and_live_as_long_as_a_chain():
    ebm = EBM(mlp(2, 1), lambda n: torch.zeros(n, 2), chains=8, sampler=lambda energy, x: x + 1, restart=0.05)
    assert torch.equal(ebm.sample(3), torch.full((3, 2), 20.0))
    assert torch.equal(ebm.sample(3, rounds=7), torch.full((3, 2), 7.0))
    assert not ebm.chains.any()


@pytest.mark.row("GEN-44")
def test_noise_of_its_deviation_is_added_to_the_data_alone_and_energies_are_told():
    ebm = EBM(
        nn.Linear(2, 1),
        lambda n: torch.ones(n, 2),
        chains=4,
        sampler=lambda energy, x: x + 1,
        restart=0.0,
        noise=0.3,
    )
    x = torch.randn(4, 2)
    torch.manual_seed(1)
    terms = ebm.loss((x,))
    torch.manual_seed(1)
    data = ebm.net(x + 0.3 * torch.randn(4, 2)).mean()
    model = ebm.net(torch.full((1, 2), 2.0)).mean()
    torch.testing.assert_close(terms, {"loss": data - model, "data": data, "model": model})


@pytest.mark.row("GEN-44")
def test_the_squared_energies_are_weighed_by_alpha():
    ebm = EBM(nn.Linear(2, 1), lambda n: torch.ones(n, 2), chains=4, sampler=lambda energy, x: x, alpha=0.5)
    x = torch.randn(4, 2)
    data, model = ebm.energy(x), ebm.energy(torch.ones(4, 2))
    expected = data.mean() - model.mean() + 0.5 * (data.square().mean() + model.square().mean())
    torch.testing.assert_close(ebm.loss((x,))["loss"], expected)


def test_more_points_than_chains_are_refused():
    with pytest.raises(ValueError, match="a batch of 5 needs as many chains, got chains=4"):
        EBM(mlp(2, 1), lambda n: torch.zeros(n, 2), chains=4, sampler=lambda energy, x: x).loss((torch.zeros(5, 2),))


@pytest.mark.row("GEN-44")
def test_short_runs_begin_anew_and_persistent_chains_never_do():
    def moved(restart):
        ebm = EBM(mlp(2, 1), lambda n: torch.zeros(n, 2), chains=6, sampler=lambda energy, x: x + 1, restart=restart)
        for _ in range(5):
            ebm.draw(6)
        return ebm

    assert (moved(1.0).chains == 1).all()
    persistent = moved(0.0)
    assert (persistent.chains == 5).all()
    assert (persistent.sample(2, rounds=3) == 3).all()
    with pytest.raises(ValueError, match="with restart=0 chains have no mean life"):
        persistent.sample(2)


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"expected a share of restarts in \[0, 1\], got -0.1"):
        EBM(mlp(2, 1), lambda n: torch.zeros(n, 2), sampler=lambda energy, x: x, restart=-0.1)


def test_a_tensor_is_no_batch():
    ebm = EBM(mlp(2, 1), lambda n: torch.zeros(n, 2), chains=4, sampler=lambda energy, x: x)
    with pytest.raises(ValueError, match=r"expected a batch, a tuple of tensors \(x, ...\), got \(4, 2\) float32"):
        ebm.loss(torch.zeros(4, 2))
    with pytest.raises(ValueError, match="expected rounds of 0 or more, got -1"):
        ebm.sample(2, rounds=-1)


@pytest.mark.parametrize("how", [{"chains": 0}, {"noise": -0.1}, {"alpha": -1.0}])
def test_senseless_settings_are_refused(how):
    with pytest.raises(ValueError, match="expected one chain or more, noise >= 0 and alpha >= 0, got"):
        EBM(mlp(2, 1), lambda n: torch.zeros(n, 2), sampler=lambda energy, x: x, **how)
