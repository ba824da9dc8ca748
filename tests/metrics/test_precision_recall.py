"""Precision and recall against scikit-learn's neighbours and against sets whose answer is known."""

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from deepcanon.metrics import precision_and_recall as module
from deepcanon.metrics.precision_and_recall import precision_recall


def share_inside(x, points, k):
    """The share of rows of x within the k-th neighbour's distance of one of the points, by scikit-learn."""
    radius = NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(points)[0][:, -1]
    return sum((((points - row) ** 2).sum(1) ** 0.5 <= radius).any() for row in x) / len(x)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_it_equals_sklearns_neighbours(k):
    x, y = torch.randn(70, 4, dtype=torch.float64), 0.7 * torch.randn(90, 4, dtype=torch.float64) + 0.5
    found = precision_recall(x, y, k)
    assert found.precision.item() == pytest.approx(share_inside(x.numpy(), y.numpy(), k), abs=1e-12)
    assert found.recall.item() == pytest.approx(share_inside(y.numpy(), x.numpy(), k), abs=1e-12)
    assert 0 < found.precision < 1


def test_blocks_change_nothing(monkeypatch):
    x, y = torch.randn(50, 4), torch.randn(60, 4) + 0.5
    whole = precision_recall(x, y)
    monkeypatch.setattr(module, "BLOCK", 7)
    assert precision_recall(x, y) == whole


def test_equal_sets_have_both_and_far_sets_neither():
    x = torch.randn(30, 3)
    assert precision_recall(x, x) == (1, 1)
    assert precision_recall(x, x + 100) == (0, 0)


def test_a_collapsed_generator_is_precise_without_recall():
    data = torch.cat([torch.randn(100, 2), torch.randn(100, 2) + 20])
    found = precision_recall(torch.randn(200, 2), data)
    assert found.precision > 0.9
    assert 0.4 < found.recall < 0.55                                             # one of the two modes


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match=r"more than k = 3 >= 1 examples, got \(3, 2\)"):
        precision_recall(torch.rand(3, 2), torch.rand(9, 2))
