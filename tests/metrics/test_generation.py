"""The Frechet distance against its closed forms and scipy."""

from functools import partial

import pytest
import scipy.linalg
import torch

from deepcanon.metrics.generation import Gaussian, class_shares, comparable, fid, fit_gaussian, frechet_distance
from deepcanon.metrics.mean_discrepancy import gaussian, kid, mmd
from deepcanon.metrics.precision_and_recall import precision_recall


def features(n=200, f=6):
    return torch.randn(n, f, dtype=torch.float64) @ torch.randn(f, f, dtype=torch.float64) + torch.randn(f, dtype=torch.float64)


@pytest.mark.row("MET-10")
def test_equal_statistics_are_at_distance_zero():
    torch.manual_seed(0)
    x = features()
    assert fid(x, x).item() == pytest.approx(0, abs=1e-9)
    assert fid(x, x.flip(0)).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.row("MET-10")
def test_on_the_line_it_is_the_difference_of_means_and_deviations():
    torch.manual_seed(0)
    x, y = torch.randn(50, 1, dtype=torch.float64), 3 * torch.randn(80, 1, dtype=torch.float64) + 2
    expected = (x.mean() - y.mean()) ** 2 + (x.std() - y.std()) ** 2
    assert fid(x, y).item() == pytest.approx(expected.item(), rel=1e-10)


@pytest.mark.row("MET-10")
@pytest.mark.parametrize("n", [200, 40])
def test_it_equals_scipys_matrix_root(n):
    torch.manual_seed(0)
    x, y = features(n, 32), features(n, 32)
    p, q = fit_gaussian(x), fit_gaussian(y)
    root = scipy.linalg.sqrtm((p.covariance @ q.covariance).numpy())
    expected = (p.mean - q.mean).square().sum() + (p.covariance + q.covariance).trace() - 2 * root.real.trace()
    assert fid(x, y).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.row("MET-10")
def test_a_common_rotation_changes_nothing():
    torch.manual_seed(0)
    x, y = features(), features()
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    assert fid(x @ rotation, y @ rotation).item() == pytest.approx(fid(x, y).item(), rel=1e-9)
    assert fid(y, x).item() == pytest.approx(fid(x, y).item(), rel=1e-9)


def test_it_equals_torchmetrics():
    from torchmetrics.image.fid import _compute_fid

    torch.manual_seed(0)
    p, q = fit_gaussian(features(300, 24)), fit_gaussian(features(300, 24))
    expected = _compute_fid(p.mean, p.covariance, q.mean, q.covariance)
    assert frechet_distance(p, q).item() == pytest.approx(expected.item(), rel=1e-6)


def test_covariances_without_full_rank():
    flat = Gaussian(torch.zeros(3, dtype=torch.float64), torch.diag(torch.tensor([4.0, 0.0, 0.0], dtype=torch.float64)))
    round_ = Gaussian(torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64))
    assert frechet_distance(flat, round_).item() == pytest.approx(1 + 1 + 1)     # (2 - 1)^2 + 1 + 1


def test_shares_count_the_labels():
    assert class_shares(torch.tensor([0, 2, 2, 1]), 4).tolist() == [0.25, 0.25, 0.5, 0.0]


def test_one_example_has_no_covariance():
    with pytest.raises(ValueError, match="two examples or more"):
        fit_gaussian(torch.rand(1, 3))


def test_features_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="expected as many features on both sides, got 3 and 4"):
        frechet_distance(fit_gaussian(torch.rand(5, 3)), fit_gaussian(torch.rand(5, 4)))
    with pytest.raises(ValueError, match=r"expected features \(N, F\) and \(M, F\), got \(5, 3\) and \(6, 4\)"):
        comparable(torch.rand(5, 3), torch.rand(6, 4))


@pytest.mark.parametrize("measure", [fid, kid, partial(mmd, kernel=gaussian(1.0)), partial(precision_recall, k=1)])
def test_features_that_are_no_numbers_are_refused(measure):
    broken = torch.rand(5, 3).index_put((torch.tensor(1), torch.tensor(2)), torch.tensor(float("nan")))
    for pair in ((broken, torch.rand(5, 3)), (torch.rand(5, 3), broken)):
        with pytest.raises(ValueError, match="expected finite values, got 1 of 15"):
            measure(*pair)


def test_equal_sets_of_fewer_examples_than_features_are_at_a_distance_of_zero_or_more():
    for seed in range(8):
        x = torch.randn(5, 20, generator=torch.Generator().manual_seed(seed))
        assert 0 <= fid(x, x.flip(0)) < 1e-6
