"""The bound in simulated draws: it holds, and only where it is meant to."""

import math

import numpy as np
import pytest

from deepcanon.foundations.bounds import deviation, examples_needed

HYPOTHESES, N, DELTA, DRAWS = 50, 200, 0.05, 2_000


def share_within(risks: np.ndarray, tested: np.ndarray) -> float:
    """How often all hypotheses are measured within the bound, when their losses are 0 or 1 with means `tested` instead of `risks`."""
    rng = np.random.default_rng(0)
    measured = rng.binomial(N, tested, (DRAWS, HYPOTHESES)) / N
    return float(np.mean(np.abs(measured - risks).max(1) <= deviation(N, HYPOTHESES, DELTA)))


@pytest.mark.row("FND-02")
def test_it_holds_in_the_stated_share_of_draws_and_fails_under_a_shift():
    risks = np.linspace(0.1, 0.5, HYPOTHESES)
    assert share_within(risks, risks) >= 1 - DELTA
    assert share_within(risks, risks + 0.2) < 0.01                               # the data come from elsewhere


@pytest.mark.row("FND-02")
def test_the_bound_is_its_formula_and_its_inverse_is_the_least_n():
    assert deviation(200, 50, 0.05) == pytest.approx(math.sqrt(math.log(2_000) / 400))
    n = examples_needed(0.02, 1_000, 0.01)
    assert deviation(n, 1_000, 0.01) <= 0.02 < deviation(n - 1, 1_000, 0.01)
    assert examples_needed(0.02, 1_000_000, 0.01) < 2 * n                        # a thousand times the hypotheses


@pytest.mark.parametrize("arguments", [(0, 1, 0.1), (10, 0, 0.1), (10, 1, 0.0), (10, 1, 1.0)])
def test_refuses_what_it_is_not_about(arguments):
    with pytest.raises(ValueError, match="1 or more and 0 < delta < 1"):
        deviation(*arguments)
    with pytest.raises(ValueError, match="positive deviation, got 0"):
        examples_needed(0.0)
