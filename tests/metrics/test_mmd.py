"""Kernel discrepancies against scikit-learn's kernels, torchmetrics and sums in plain loops."""

import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel
from torchmetrics.image.kid import poly_mmd

from deepcanon.metrics import mean_discrepancy as module
from deepcanon.metrics.mean_discrepancy import gaussian, kid, mmd, mmd_bound, mmd_squared, polynomial


@pytest.fixture
def samples():
    return torch.randn(40, 5, dtype=torch.float64), 1.3 * torch.randn(60, 5, dtype=torch.float64) + 0.4


@pytest.mark.parametrize(("kernel", "reference"), [
    (gaussian(0.8), lambda x, y: rbf_kernel(x, y, gamma=1 / (2 * 0.8**2))),
    (polynomial(), lambda x, y: polynomial_kernel(x, y, degree=3, gamma=1 / 5, coef0=1)),
])
def test_discrepancies_equal_those_of_sklearns_kernels(samples, kernel, reference):
    x, y = samples
    kxx, kyy, kxy = (torch.from_numpy(reference(a.numpy(), b.numpy())) for a, b in ((x, x), (y, y), (x, y)))
    unbiased = (kxx.sum() - kxx.trace()) / (40 * 39) + (kyy.sum() - kyy.trace()) / (60 * 59) - 2 * kxy.mean()
    biased = kxx.mean() + kyy.mean() - 2 * kxy.mean()
    assert mmd_squared(x, y, kernel).item() == pytest.approx(unbiased.item(), rel=1e-10)
    assert mmd(x, y, kernel).item() == pytest.approx(biased.sqrt().item(), rel=1e-10)


def test_kid_equals_torchmetrics():
    x, y = torch.randn(80, 16, dtype=torch.float64), torch.rand(80, 16, dtype=torch.float64)
    assert kid(x, y).item() == pytest.approx(poly_mmd(y, x).item(), rel=1e-10)


def test_blocks_change_nothing(samples, monkeypatch):
    whole = mmd_squared(*samples, gaussian(1.0)), mmd(*samples, polynomial())
    monkeypatch.setattr(module, "BLOCK", 7)
    torch.testing.assert_close((mmd_squared(*samples, gaussian(1.0)), mmd(*samples, polynomial())), whole)


def test_samples_of_one_distribution_are_at_zero_on_average():
    draws = torch.stack([mmd_squared(torch.randn(20, 3), torch.randn(30, 3), gaussian(1.0)) for _ in range(300)])
    assert abs(draws.mean()) < 4 * draws.std() / 300**0.5
    assert draws.min() < 0


def test_the_bound_holds_under_equality_and_tells_others_apart():
    bound = mmd_bound(200)
    assert all(mmd(torch.randn(200, 2), torch.randn(200, 2), gaussian(1.0)) < bound for _ in range(20))
    assert mmd(torch.randn(200, 2), torch.randn(200, 2) + 2, gaussian(1.0)) > bound


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="two examples or more"):
        kid(torch.rand(1, 3), torch.rand(5, 3))
    with pytest.raises(ValueError, match="a width above 0, got -1"):
        gaussian(-1.0)
