"""Suppression beside the loop that goes through detections one by one."""

import inspect

import pytest
import torch

from deepcanon.metrics.detection import box_iou
from deepcanon.vision import suppression
from deepcanon.vision.suppression import batched_nms, nms, soft_nms


def detections(n: int, spread: float = 100.0, dtype=torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    centre, side = torch.rand(n, 2) * spread, 5 + 20 * torch.rand(n, 2)
    return torch.cat([centre - side / 2, centre + side / 2], 1).to(dtype), torch.rand(n).to(dtype)


def one_by_one(boxes, scores, threshold: float) -> list[int]:
    """The rule as it is said, row by row."""
    iou, kept = box_iou(boxes, boxes), []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i].item(), i)):
        if all(iou[i, j] <= threshold for j in kept):
            kept.append(i)
    return kept


@pytest.mark.row("VIS-19")
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("block", [1, 7, 64, 256])
def test_suppression_is_that_of_the_loop(threshold, block, monkeypatch):
    monkeypatch.setattr(suppression, "BLOCK", block)
    boxes, scores = detections(150)
    assert nms(boxes, scores, threshold).tolist() == one_by_one(boxes, scores, threshold)
    assert nms(boxes[:0], scores[:0]).shape == (0,)
    assert nms(boxes[:1], scores[:1]).tolist() == [0]


@pytest.mark.row("VIS-19")
def test_a_chain_of_overlaps_is_followed_link_by_link():
    boxes = torch.stack([torch.tensor([3.0 * i, 0, 3.0 * i + 10, 10]) for i in range(40)])
    assert nms(boxes, torch.linspace(1, 0, 40), 0.5).tolist() == list(range(0, 40, 2))


@pytest.mark.row("VIS-19")
@pytest.mark.parametrize("most", [0, 60, 1_000])
def test_suppression_is_idempotent_and_classes_leave_each_other_alone(most, monkeypatch):
    monkeypatch.setattr(suppression, "TOGETHER", most)
    boxes, scores = detections(200)
    kept = nms(boxes, scores)
    assert nms(boxes[kept], scores[kept]).tolist() == list(range(len(kept)))
    labels = (torch.arange(200) % 7).clamp(max=3) * 5 - 4  # classes of several sizes
    both = batched_nms(boxes, scores, labels)
    alone = {
        i
        for k in (-4, 1, 6, 11)
        for i in ((labels == k).nonzero()[:, 0][nms(boxes[labels == k], scores[labels == k])]).tolist()
    }
    assert set(both.tolist()) == alone
    assert (scores[both].diff() <= 0).all()
    same = boxes[:1].expand(4, 4)
    assert batched_nms(same, torch.tensor([0.1, 0.9, 0.5, 0.4]), torch.tensor([0, 1, 1, 2])).tolist() == [
        1,
        3,
        0,
    ]
    assert batched_nms(boxes[:0], scores[:0], labels[:0]).shape == (0,)


@pytest.mark.row("VIS-19")
def test_of_equal_scores_the_lower_row_stays():
    boxes = torch.tensor([[50.0, 0, 60, 10], [0, 0, 10, 10], [0, 0, 10, 11], [50, 0, 60, 11]])
    assert nms(boxes, torch.ones(4)).tolist() == [0, 1]
    assert batched_nms(boxes, torch.ones(4), torch.tensor([1, 1, 1, 1])).tolist() == [0, 1]
    assert batched_nms(boxes, torch.ones(4), torch.tensor([1, 0, 1, 0])).tolist() == [0, 1, 2, 3]


@pytest.mark.row("VIS-19")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_areas_in_16_bits_do_not_overflow(dtype):
    boxes = torch.tensor([[0, 0, 300, 300], [0, 0, 300, 290], [0, 0, 300, 100]], dtype=dtype)
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7], dtype=dtype)).tolist() == [0, 2]


@pytest.mark.row("VIS-19")
def test_soft_suppression_by_hand():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [20, 20, 30, 30]])
    rows, scores = soft_nms(boxes, torch.tensor([0.9, 0.8, 0.3]), sigma=0.5)
    lowered = 0.8 * torch.tensor(-0.25 / 0.5).exp().item()  # an IoU of one half
    assert rows.tolist() == [0, 1, 2]
    torch.testing.assert_close(scores, torch.tensor([0.9, lowered, 0.3]))
    rows, scores = soft_nms(boxes, torch.tensor([0.9, 0.8, 0.5]), sigma=0.5)
    assert rows.tolist() == [0, 2, 1]
    rows, _ = soft_nms(boxes, torch.tensor([0.9, 0.8, 0.3]), sigma=0.05, least=0.05)
    assert rows.tolist() == [0, 2]  # 0.8 exp(-5) is below the least
    assert soft_nms(boxes[:0], torch.zeros(0))[0].shape == (0,)


@pytest.mark.parametrize(
    ("boxes", "scores", "threshold", "message"),
    [
        (torch.zeros(2, 4), torch.zeros(3), 0.5, r"expected one finite score a box, \(2,\), got \(3,\)"),
        (torch.zeros(1, 4), torch.tensor([torch.nan]), 0.5, "expected one finite score a box"),
        (torch.zeros(1, 4), torch.zeros(1), 1.5, r"expected a threshold in \[0, 1\], got 1.5"),
        (torch.zeros(1, 5), torch.zeros(1), 0.5, r"expected boxes \(N, 4\), got \(1, 5\)"),
        (torch.tensor([[0.0, 0.0, torch.inf, 1.0]]), torch.zeros(1), 0.5, "expected finite boxes"),
    ],
)
def test_what_cannot_be_suppressed_is_refused(boxes, scores, threshold, message):
    with pytest.raises(ValueError, match=message):
        suppression.checked(boxes, scores, threshold)


def test_labels_and_widths_that_cannot_be_meant_are_refused():
    boxes, scores = detections(3)
    with pytest.raises(
        ValueError, match=r"expected one whole-number label a box, \(3,\), got torch.int64 \(2,\)"
    ):
        inspect.unwrap(batched_nms)(boxes, scores, torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="expected sigma above 0, got 0"):
        soft_nms(boxes, scores, sigma=0.0)
