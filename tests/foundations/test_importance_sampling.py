"""The identity by enumeration, and its estimate by draws."""

import math

import pytest
import torch

from deepcanon.foundations.importance_sampling import effective_sample_size, expectation, self_normalized, weights

N = 20_000


@pytest.mark.row("FND-52")
def test_the_identity_holds_exactly_when_enumerated():
    p, q, f = torch.rand(3, 12, dtype=torch.float64)
    p, q = p / p.sum(), q / q.sum()
    w = weights(p.log(), q.log())
    assert (q * w).sum().item() == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close((q * w * f).sum(), (p * f).sum(), atol=1e-12, rtol=0)


@pytest.mark.row("FND-52")
@pytest.mark.parametrize("seed", range(5))
def test_the_estimates_are_within_four_standard_errors(seed):
    torch.manual_seed(seed)
    p, q = torch.distributions.Normal(0.5, 0.8), torch.distributions.Normal(torch.tensor(0.0, dtype=torch.float64), 1.2)
    x = q.sample((N,))
    log_p, log_q = p.log_prob(x), q.log_prob(x)
    w, f = weights(log_p, log_q), torch.stack([x, x.square()], 1)
    exact = torch.tensor([0.5, 0.8**2 + 0.5**2], dtype=torch.float64)            # E_p[x], E_p[x^2]
    error = 4 * (w.unsqueeze(1) * f).std(0) / math.sqrt(N)
    assert (w.mean() - 1).abs() < 4 * w.std() / math.sqrt(N)
    assert ((expectation(f, log_p, log_q) - exact).abs() < error).all()
    assert ((self_normalized(f, log_p + 3, log_q) - exact).abs() < error).all()  # log p may lack a constant
    assert effective_sample_size(log_p + 3, log_q).item() == pytest.approx((w.sum() ** 2 / w.square().sum()).item())


@pytest.mark.row("FND-52")
def test_effective_sample_size_is_n_for_equal_and_one_for_disjoint_distributions():
    log_p = torch.randn(10, dtype=torch.float64)
    assert effective_sample_size(log_p, log_p).item() == pytest.approx(10)
    assert effective_sample_size(torch.tensor([0.0, -800.0, -900.0]), torch.zeros(3)).item() == pytest.approx(1)


def test_refuses_a_proposal_that_misses_a_draw():
    with pytest.raises(ValueError, match="q gives a draw probability 0"):
        expectation(torch.ones(2), torch.zeros(2), torch.tensor([0.0, -math.inf]))
