"""The cross term; the identity and what degree and penalty do to its terms are claims C-014 and C-015."""

import pytest
import torch

from deepcanon.foundations.bias_variance import decompose

K, N = 200, 30


@pytest.mark.row("FND-05")
def test_the_cross_term_vanishes_only_at_the_mean_of_the_models():
    found, truth = torch.randn(K, N, dtype=torch.float64), torch.randn(N, dtype=torch.float64)
    mean, halfway = found.mean(0), (found.mean(0) + truth) / 2
    assert ((found - mean) * (mean - truth)).mean().abs() < 1e-12
    error, _, bias2 = decompose(found, truth)
    apart = (found - halfway).square().mean() + (halfway - truth).square().mean()
    torch.testing.assert_close(error - apart, bias2 / 2, atol=1e-10, rtol=0)     # halfway, half of the bias is lost


def test_refuses_a_single_model_and_other_points(annotations_unchecked):
    with pytest.raises(ValueError, match=r"two models or more at the points of the truth, \(\.\.\.\), got \(1, 3\) and \(3,\)"):
        decompose(torch.zeros(1, 3), torch.zeros(3))
    with pytest.raises(ValueError, match=r"got \(4, 3\) and \(2,\)"):
        decompose(torch.zeros(4, 3), torch.zeros(2))
