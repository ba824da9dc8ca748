"""Matching of objects by their masks."""

import jaxtyping
import pytest
import torch

from deepcanon.metrics.instances import mask_iou, mean_precision, precision_at


def maps(*rows: str) -> torch.Tensor:
    return torch.tensor([[int(c) for c in row] for row in rows])


@pytest.mark.row("VIS-26")
def test_iou_of_every_pair_by_hand():
    predicted, truth = maps("1110", "0022", "0022"), maps("5500", "0099", "0009")
    iou = mask_iou(predicted, truth)
    torch.testing.assert_close(iou, torch.tensor([[2 / 3, 0.0], [0.0, 3 / 4]], dtype=torch.float64))
    assert [precision_at(iou, t) for t in (0.5, 0.7, 0.8)] == [1.0, 1 / 3, 0.0]
    assert mean_precision(predicted, truth) == pytest.approx((4 * 1 + 1 / 3) / 10)


@pytest.mark.row("VIS-26")
def test_the_numbers_of_objects_do_not_matter():
    truth = torch.randint(0, 6, (12, 12))
    renamed = torch.tensor([0, 40, 3, 300, 7, 1])[truth]
    assert mean_precision(renamed, truth) == 1.0
    assert torch.equal(mask_iou(renamed, truth).amax(0), torch.ones(5, dtype=torch.float64))


def test_nothing_found_and_nothing_there():
    empty, one = torch.zeros(3, 3, dtype=torch.long), torch.ones(3, 3, dtype=torch.long)
    assert mask_iou(empty, one).shape == (0, 1)
    assert [mean_precision(a, b) for a, b in ((empty, empty), (empty, one), (one, empty))] == [1.0, 0.0, 0.0]


def test_two_halves_of_an_object_are_no_match():
    halves, whole = maps("1122"), maps("1111")
    assert precision_at(mask_iou(halves, whole), 0.5) == 0.0                          # 1/2 is not over 1/2


def test_what_cannot_be_meant_is_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"expected a threshold in \[0\.5, 1\), got 0\.4"):
        precision_at(torch.ones(1, 1), 0.4)
    with pytest.raises(ValueError, match=r"expected a map of objects of shape \(2, 2\), got \(2, 3\)"):
        mask_iou(torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="expected numbers of objects of 0 or more, got -1"):
        mask_iou(torch.zeros(2, 2, dtype=torch.long), torch.full((2, 2), -1))
