"""Effective sample size and R-hat equal to ArviZ's, and what they say of chains that are known."""

import arviz
import pytest
import torch

from deepcanon.energy.diagnostics import bulk_size, effective_sample_size, r_hat, split_r_hat, standard_error


def autoregression(a: float, steps: int, chains: int) -> torch.Tensor:
    """x_t = a x_{t-1} + sqrt(1 - a^2) z: stationary N(0, 1), autocorrelation a^t, tau = (1 + a) / (1 - a)."""
    x = [torch.randn(chains, dtype=torch.float64)]
    for _ in range(steps - 1):
        x.append(a * x[-1] + (1 - a * a) ** 0.5 * torch.randn_like(x[-1]))
    return torch.stack(x)


CASES = {
    "independent": lambda: torch.randn(200, 4, dtype=torch.float64),
    "correlated": lambda: autoregression(0.9, 301, 3),
    "alternating": lambda: autoregression(-0.6, 250, 5),
    "drifting": lambda: autoregression(0.5, 200, 4) + torch.linspace(0, 2, 200, dtype=torch.float64)[:, None],
    "apart": lambda: autoregression(0.5, 200, 4) + torch.arange(4),
    "tied": lambda: autoregression(0.8, 200, 4).round(),
    "heavy": lambda: torch.randn(400, 4, dtype=torch.float64) / torch.randn(400, 4, dtype=torch.float64),
}


@pytest.mark.row("GEN-45")
@pytest.mark.parametrize("case", CASES)
def test_diagnostics_equal_arviz(case):
    draws = CASES[case]()
    theirs = draws.T.numpy()                                                     # (chains, draws)
    expected = {
        r_hat: arviz.rhat(theirs, method="rank"), split_r_hat: arviz.rhat(theirs, method="split"),
        bulk_size: arviz.ess(theirs, method="bulk"), effective_sample_size: arviz.ess(theirs, method="mean"),
        standard_error: arviz.mcse(theirs, method="mean")}
    for ours, value in expected.items():
        assert float(ours(draws)) == pytest.approx(float(value), rel=1e-6), ours.__name__


def test_coordinates_are_judged_one_by_one():
    draws = torch.stack([CASES[case]()[:200, :3] for case in ("independent", "apart", "correlated")], -1)
    for function in (r_hat, split_r_hat, bulk_size, effective_sample_size, standard_error):
        torch.testing.assert_close(function(draws), torch.stack([function(draws[..., i]) for i in range(3)]))


def test_the_size_is_that_of_the_autocorrelation():
    draws = autoregression(0.8, 4_000, 20)
    assert effective_sample_size(draws).item() == pytest.approx(80_000 * 0.2 / 1.8, rel=0.1)


def test_chains_that_disagree_are_seen():
    assert r_hat(CASES["apart"]()) > 1.1
    assert r_hat(CASES["drifting"]()) > 1.05
    assert r_hat(torch.randn(500, 4) * torch.tensor([1.0, 1.0, 1.0, 3.0])) > 1.05    # one chain is wider
    assert split_r_hat(torch.randn(500, 4)) < 1.02


def test_three_draws_are_refused():
    with pytest.raises(ValueError, match="expected four draws a chain or more, got 3"):
        r_hat(torch.randn(3, 4))


FUNCTIONS = [r_hat, split_r_hat, bulk_size, effective_sample_size, standard_error]


@pytest.mark.row("GEN-45")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_large_values_in_single_precision_are_judged_as_in_double(function):
    draws = (2.0**25 + 1_000 * autoregression(0.5, 200, 4)).float()              # neighbouring numbers are 4 apart
    assert float(function(draws)) == pytest.approx(float(function(draws.double())), rel=1e-12)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_draws_that_say_nothing_are_refused(function):
    draws = torch.stack([torch.randn(20, 3), torch.ones(20, 3)], -1)
    with pytest.raises(ValueError, match="expected draws that differ, got one value throughout in 1 of 2 coordinates"):
        function(draws)
    with pytest.raises(ValueError, match="expected finite values, got 1 of 60"):
        function(torch.randn(20, 3).index_put((torch.tensor(4), torch.tensor(1)), torch.tensor(float("nan"))))


def test_still_chains_at_different_places_disagree_without_end():
    assert split_r_hat(torch.arange(3.0).expand(20, 3)) == torch.inf
