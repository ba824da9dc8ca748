"""Gibbs sampling as Metropolis-Hastings that accepts all, and against enumeration and known moments."""

from itertools import product

import pytest
import torch

from deepcanon.energy.diagnostics import r_hat, standard_error
from deepcanon.energy.gibbs_sampling import Spin, gaussian, gibbs, ising

COVARIANCE = torch.tensor([[1.0, 1.2], [1.2, 2.0]], dtype=torch.float64)
MEAN = torch.tensor([0.5, -1.0], dtype=torch.float64)
COUPLING = torch.tensor([[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]], dtype=torch.float64) * 0.4    # a 2x2 lattice
FIELD = torch.tensor([0.3, -0.1, 0.0, 0.2], dtype=torch.float64)


def ising_energy(x):
    return -(x @ COUPLING * x).sum(1) / 2 - x @ FIELD


def gaussian_energy(x):
    return ((x - MEAN) @ torch.linalg.inv(COVARIANCE) * (x - MEAN)).sum(1) / 2


@pytest.mark.row("GEN-46")
@pytest.mark.parametrize(("energy", "conditional", "x"), [
    (gaussian_energy, gaussian(MEAN, torch.linalg.inv(COVARIANCE)), torch.randn(50, 2, dtype=torch.float64)),
    (ising_energy, ising(COUPLING, FIELD), torch.randint(2, (50, 4)).double() * 2 - 1)])
def test_the_ratio_of_a_conditional_proposal_is_one(energy, conditional, x):
    for i in range(x.shape[1]):
        law, y = conditional(x, i), x.clone()
        y[:, i] = law.sample()
        log_ratio = energy(x) - energy(y) + law.log_prob(x[:, i]) - law.log_prob(y[:, i])
        torch.testing.assert_close(log_ratio, torch.zeros_like(log_ratio), atol=1e-10, rtol=0)


@pytest.mark.row("GEN-46")
def test_a_bivariate_gaussian_has_its_moments():
    draws = gibbs(gaussian(MEAN, torch.linalg.inv(COVARIANCE)), torch.zeros(100, 2, dtype=torch.float64), sweeps=600)[50:]
    second = (draws - MEAN).unsqueeze(-1) * (draws - MEAN).unsqueeze(-2)
    assert (r_hat(draws) < 1.01).all()
    assert ((draws.mean((0, 1)) - MEAN).abs() < 4 * standard_error(draws)).all()
    assert ((second.mean((0, 1)) - COVARIANCE).abs() < 4 * standard_error(second)).all()


@pytest.mark.row("GEN-46")
def test_spins_on_a_lattice_equal_enumeration():
    states = torch.tensor(list(product((-1.0, 1.0), repeat=4)), dtype=torch.float64)
    p = (-ising_energy(states)).softmax(0)
    draws = gibbs(ising(COUPLING, FIELD), states[torch.randint(16, (400,))], sweeps=300)[50:]
    for state, share in zip(states, p):
        seen = (draws == state).all(-1).double()
        assert abs(seen.mean() - share) < 4 * standard_error(seen)


def test_the_law_of_a_spin_sums_to_one():
    law = Spin(torch.randn(5))
    torch.testing.assert_close(law.log_prob(torch.ones(5)).exp() + law.log_prob(-torch.ones(5)).exp(), torch.ones(5))
    assert set(law.sample((50,)).flatten().tolist()) == {-1.0, 1.0}


def test_the_start_is_left_as_it_was():
    x = torch.zeros(3, 2, dtype=torch.float64)
    assert gibbs(gaussian(MEAN, torch.linalg.inv(COVARIANCE)), x, sweeps=2).shape == (2, 3, 2)
    assert not x.any()


@pytest.mark.parametrize("precision", [[[1.0, 0.5], [0.4, 1.0]], [[1.0, 2.0], [2.0, 1.0]], [[1.0, float("nan")], [float("nan"), 1.0]]])
def test_a_precision_that_is_none_is_refused(precision):
    with pytest.raises(ValueError, match="expected a symmetric precision whose eigenvalues are above 0"):
        gaussian(torch.zeros(2), torch.tensor(precision))


@pytest.mark.parametrize("coupling", [[[0.0, 1.0], [0.5, 0.0]], [[1.0, 0.5], [0.5, 1.0]]])
def test_couplings_of_no_energy_are_refused(coupling):
    with pytest.raises(ValueError, match="expected a symmetric matrix with a zero diagonal"):
        ising(torch.tensor(coupling), torch.zeros(2))
