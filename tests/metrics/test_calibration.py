"""Calibration against tables made by hand, simulations of known truth, and torchmetrics."""

import pytest
import torch
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from deepcanon.metrics import brier_score, expected_calibration_error, reliability


@pytest.mark.row("MET-11")
def test_a_table_made_by_hand():
    confidence = torch.tensor([0.55, 0.55, 0.55, 0.55, 0.95, 0.95])
    right = torch.tensor([True, False, False, False, True, True])
    diagram = reliability(confidence, right, bins=10)
    assert diagram.count.tolist() == [0, 0, 0, 0, 0, 4, 0, 0, 0, 2]
    assert diagram.accuracy[[5, 9]].tolist() == [0.25, 1.0]
    assert diagram.ece == pytest.approx((4 * 0.30 + 2 * 0.05) / 6, abs=1e-6)
    assert diagram.mce == pytest.approx(0.30, abs=1e-6)


@pytest.mark.row("MET-11")
def test_always_certain_and_right_seven_times_in_ten():
    diagram = reliability(torch.ones(10), torch.arange(10) < 7)
    assert diagram.ece == pytest.approx(0.3)
    assert diagram.count[-1] == 10


@pytest.mark.row("MET-11")
def test_an_edge_belongs_to_the_bin_below_it():
    assert reliability(torch.tensor([0.0, 0.2, 0.2001, 1.0]), torch.ones(4).bool(), bins=5).count.tolist() == [2, 1, 0, 0, 1]


@pytest.mark.row("MET-11")
def test_of_a_calibrated_classifier_it_falls_as_the_root_of_the_examples():
    generator = torch.Generator().manual_seed(0)

    def ece(n):
        p = torch.rand(n, generator=generator)
        return reliability(p, torch.rand(n, generator=generator) < p).ece

    few, many = (sum(ece(n) for _ in range(40)) / 40 for n in (400, 40_000))
    assert few / many == pytest.approx(10, rel=0.15)


@pytest.mark.row("MET-11")
@pytest.mark.parametrize("bins", [5, 15])
def test_it_equals_torchmetrics(bins):
    generator = torch.Generator().manual_seed(1)
    p, y = torch.randn(500, 4, generator=generator).softmax(1), torch.randint(4, (500,), generator=generator)
    expected = multiclass_calibration_error(p, y, num_classes=4, n_bins=bins)
    assert expected_calibration_error(p, y, bins) == pytest.approx(expected.item(), abs=1e-6)
    assert reliability(p.amax(1), p.argmax(1) == y, bins).mce == pytest.approx(
        multiclass_calibration_error(p, y, num_classes=4, n_bins=bins, norm="max").item(), abs=1e-6)


@pytest.mark.row("MET-11")
def test_the_brier_score_equals_scikit_learns():
    generator = torch.Generator().manual_seed(2)
    p, y = torch.randn(300, 4, generator=generator).softmax(1), torch.randint(4, (300,), generator=generator)
    assert brier_score(p, y) == pytest.approx(brier_score_loss(y, p.double().numpy() / p.double().sum(1, keepdim=True).numpy(),
                                                               labels=range(4)), abs=1e-6)
    assert brier_score(torch.eye(3), torch.tensor([0, 1, 2])) == 0
    assert brier_score(torch.eye(3), torch.tensor([1, 2, 0])) == 2


def test_logits_and_confidences_out_of_range_are_refused():
    with pytest.raises(ValueError, match="rows sum to 1; of logits take the softmax first"):
        expected_calibration_error(torch.randn(5, 3), torch.zeros(5).long())
    with pytest.raises(ValueError, match=r"expected confidences in \[0, 1\], got values from 0.5 to 1.5"):
        reliability(torch.tensor([0.5, 1.5]), torch.ones(2).bool())
    with pytest.raises(ValueError, match="expected one bin or more, got 0"):
        reliability(torch.rand(2), torch.ones(2).bool(), bins=0)
    with pytest.raises(ValueError, match=r"expected labels in 0 ... 2, got labels from 0 to 3"):
        brier_score(torch.eye(3), torch.tensor([0, 1, 3]))
