"""Chains against laws whose moments are known, and their transitions against detailed balance."""

import math

import pytest
import torch

from deepcanon.energy.diagnostics import r_hat, standard_error
from deepcanon.energy.mcmc import accepted, mala, metropolis_hastings, random_walk, transition_matrix

PRECISION = torch.tensor([[1.0, -0.5], [-0.5, 1.0]], dtype=torch.float64)
MEAN = torch.tensor([1.0, -2.0], dtype=torch.float64)


def gaussian(x):
    return ((x - MEAN) @ PRECISION * (x - MEAN)).sum(-1) / 2


def banana(x):
    """x_1 ~ N(0, 1), x_2 | x_1 ~ N((x_1^2 - 1) / 4, 1/2): variances 1 and 1/8 + 1/2, uncorrelated."""
    return x[:, 0].square() / 2 + (x[:, 1] - (x[:, 0].square() - 1) / 4).square()


def mixture(x):
    """Two Gaussians of variance 1/4 at -1 and 1 on both axes."""
    return -torch.logaddexp(-2 * (x - 1).square().sum(1), -2 * (x + 1).square().sum(1))


MOMENTS = {
    gaussian: (MEAN, torch.linalg.inv(PRECISION)),
    banana: (torch.zeros(2), torch.tensor([[1.0, 0.0], [0.0, 0.625]])),
    mixture: (torch.zeros(2), torch.tensor([[1.25, 1.0], [1.0, 1.25]])),
}
RANDOM_WALK, MALA = {gaussian: 2.0, banana: 1.6, mixture: 1.8}, {gaussian: 0.7, banana: 0.5}


def right_moments(draws, target):
    """Means and second moments within four standard errors, R-hat below 1.01."""
    mean, covariance = (t.double() for t in MOMENTS[target])
    x = draws.double()
    second = (x - mean).unsqueeze(-1) * (x - mean).unsqueeze(-2)
    assert (r_hat(x) < 1.01).all()
    assert ((x.mean((0, 1)) - mean).abs() < 4 * standard_error(x)).all()
    assert ((second.mean((0, 1)) - covariance).abs() < 4 * standard_error(second)).all()


@pytest.mark.row("GEN-45")
@pytest.mark.parametrize("target", RANDOM_WALK)
def test_random_walks_have_the_moments_of_the_target(target):
    x = 2 * torch.randn(10, 2, dtype=torch.float64)
    chains = metropolis_hastings(target, x, propose=random_walk(RANDOM_WALK[target]), steps=2_600)
    right_moments(chains.draws[100:], target)
    assert (chains.accepted > 0.1).all()
    assert (chains.accepted < 0.7).all()


@pytest.mark.row("GEN-45")
@pytest.mark.parametrize("target", MALA)
def test_langevin_proposals_have_the_moments_of_the_target(target):
    chains = mala(target, torch.randn(10, 2, dtype=torch.float64), steps=1_600, step_size=MALA[target])
    right_moments(chains.draws[100:], target)
    assert (chains.accepted > 0.4).all()


@pytest.mark.row("GEN-45")
def test_acceptance_removes_the_bias_of_langevin_steps():
    """At eps = 1 the unadjusted chain on N(0, 1) ends at the variance 2."""
    draws = mala(lambda x: x.square().sum(1) / 2, torch.randn(2_000, 1), steps=60, step_size=1.0).draws[10:]
    assert abs(draws.square().mean() - 1) < 4 * standard_error(draws.square())


@pytest.mark.row("GEN-45")
def test_transitions_are_in_detailed_balance_and_leave_the_law_as_it_is():
    energy, q = torch.randn(6, dtype=torch.float64), torch.rand(6, 6, dtype=torch.float64)
    q[0, 3] = q[3, 0] = q[4, 1] = 0                                              # 4 -> 1 is never proposed: neither is 1 -> 4 accepted
    q, p = q / q.sum(1, keepdim=True), (-energy).softmax(0)
    T = transition_matrix(energy, q)
    flow = p[:, None] * T
    torch.testing.assert_close(flow, flow.T, atol=1e-12, rtol=0)
    torch.testing.assert_close(p @ T, p, atol=1e-12, rtol=0)
    torch.testing.assert_close(T.sum(1), torch.ones_like(p), atol=1e-12, rtol=0)
    assert (T >= 0).all()
    ratio = p * q.T / (p[:, None] * q)                                           # p_j q_ji / (p_i q_ij), as in the definition
    alpha = ratio.clamp(max=1).nan_to_num(0)
    off = ~torch.eye(6, dtype=torch.bool)
    torch.testing.assert_close(T[off], (q * alpha)[off], atol=1e-12, rtol=0)


@pytest.mark.row("GEN-45")
def test_an_asymmetric_proposal_needs_its_correction():
    """Steps to the right are proposed with probability 0.7: without the ratio of the proposals the chain drifts."""
    step, up = 0.8, math.log(0.7 / 0.3)

    def drifting(x):
        right = torch.rand(len(x)) < 0.7
        return x + torch.where(right, step, -step).unsqueeze(1) * torch.rand(len(x), 1), torch.where(right, -up, up)

    def energy(x):
        return x.square().sum(1) / 2

    start = torch.randn(2_000, 1)
    right = metropolis_hastings(energy, start, propose=drifting, steps=100).draws[20:]
    wrong = metropolis_hastings(energy, start, propose=lambda x: (drifting(x)[0], torch.zeros(len(x))), steps=100).draws[20:]
    assert abs(right.mean()) < 4 * standard_error(right)
    assert wrong.mean() > 10 * standard_error(wrong)


def test_proposals_are_accepted_with_their_probability():
    n = 40_000
    for p in (0.2, 0.9):
        assert abs(accepted(torch.full((n,), p).log()).float().mean() - p) < 4 * math.sqrt(p * (1 - p) / n)
    assert accepted(torch.tensor([0.0, 3.0])).all()
    assert not accepted(torch.tensor([float("nan"), -torch.inf])).any()


def test_a_chain_never_leaves_the_support():
    def uniform(x):
        return torch.where((x.abs() < 1).all(1), 0.0, torch.inf)

    draws = metropolis_hastings(uniform, torch.zeros(500, 2), propose=random_walk(1.0), steps=200).draws
    assert draws.abs().max() < 1
    assert abs(draws[20:].square().mean() - 1 / 3) < 0.01


def test_chains_may_not_begin_where_there_is_nothing():
    with pytest.raises(ValueError, match="1 of 2 chains begin where the energy is not finite"):
        metropolis_hastings(lambda x: 1 / x[:, 0].clamp(min=0), torch.tensor([[-1.0], [1.0]]), propose=random_walk(1.0), steps=1)


def test_chains_leave_no_gradients():
    net = torch.nn.Linear(2, 1)
    x = torch.randn(3, 2, requires_grad=True)
    chains = mala(lambda x: net(x).square().flatten(), x, steps=2, step_size=0.1)
    assert not chains.draws.requires_grad
    assert net.weight.grad is None


def test_senseless_settings_are_refused():
    x = torch.zeros(1, 2)
    for how in ({"steps": 0}, {"step_size": 0.0}, {"step_size": -0.1}):
        with pytest.raises(ValueError, match="expected one step or more and a step size above 0, got"):
            mala(mixture, x, **({"steps": 1, "step_size": 0.1} | how))
    with pytest.raises(ValueError, match="expected one step or more, got -1"):
        metropolis_hastings(mixture, x, propose=random_walk(1.0), steps=-1)
    with pytest.raises(ValueError, match="expected a scale above 0, got 0"):
        random_walk(0.0)


@pytest.mark.row("GEN-45")
def test_a_chain_on_finitely_many_states_moves_as_its_matrix_says():
    """Each of 6 states is left 40,000 times: T is the law of where to, within four standard errors."""
    n, energies, q = 40_000, torch.randn(6, dtype=torch.float64), torch.rand(6, 6, dtype=torch.float64)
    q = q / q.sum(1, keepdim=True)

    def propose(x):
        i = x.long()
        j = q[i].multinomial(1).squeeze(1)
        return j.double(), (q[j, i] / q[i, j]).log()

    start = torch.arange(6).repeat_interleave(n)
    end = metropolis_hastings(lambda x: energies[x.long()], start.double(), propose=propose, steps=1).draws[0]
    seen, T = (6 * start + end.long()).bincount(minlength=36).view(6, 6) / n, transition_matrix(energies, q)
    assert ((seen - T).abs() < 4 * (T * (1 - T) / n).sqrt()).all()
