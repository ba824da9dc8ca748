"""Forms of boxes, and how one is written as a change of another."""

import inspect

import pytest
import torch

from deepcanon.vision.boxes import (
    LARGEST,
    box_iou,
    centred,
    clip_boxes,
    cornered,
    decode_boxes,
    encode_boxes,
    flip_boxes,
    from_xywh,
    generalized_iou,
    to_xywh,
)


def some(n: int = 50, dtype=torch.float64) -> torch.Tensor:
    low = torch.rand(n, 2, dtype=dtype) * 50
    return torch.cat([low, low + 1 + torch.rand(n, 2, dtype=dtype) * 40], 1)


@pytest.mark.row("MET-03")
def test_forms_by_hand_and_back():
    box = torch.tensor([[80.0, 30.0, 120.0, 70.0]])
    assert to_xywh(box).tolist() == [[80, 30, 40, 40]]
    assert centred(box).tolist() == [[100, 50, 40, 40]]
    assert cornered(torch.tensor([[100.0, 50.0, 40.0, 40.0]])).tolist() == box.tolist()
    boxes = some()
    torch.testing.assert_close(from_xywh(to_xywh(boxes)), boxes)
    torch.testing.assert_close(cornered(centred(boxes)), boxes)


def test_flips_and_clips_by_hand():
    box = torch.tensor([[2.0, 1.0, 5.0, 4.0]])
    assert flip_boxes(box, 10).tolist() == [[5, 1, 8, 4]]
    assert flip_boxes(flip_boxes(box, 10), 10).tolist() == box.tolist()
    wild = torch.tensor([[-3.0, 2.0, 30.0, 12.0], [40.0, 40.0, 50.0, 50.0]])
    assert clip_boxes(wild, 10, 20).tolist() == [[0, 2, 20, 10], [20, 10, 20, 10]]


@pytest.mark.row("VIS-24")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_box_comes_back_from_its_change_of_an_anchor(dtype):
    boxes, anchors = some(dtype=dtype), some(dtype=dtype)
    torch.testing.assert_close(
        decode_boxes(encode_boxes(boxes, anchors), anchors), boxes, atol=2e-4, rtol=1e-5
    )
    zero = torch.zeros(len(anchors), 4, dtype=dtype)
    torch.testing.assert_close(decode_boxes(zero, anchors), anchors)
    torch.testing.assert_close(encode_boxes(anchors, anchors), zero)


@pytest.mark.row("VIS-24")
def test_a_change_by_hand():
    anchor, box = torch.tensor([[0.0, 0.0, 10.0, 20.0]]), torch.tensor([[5.0, 0.0, 25.0, 10.0]])
    expected = [[1.0, -0.25, torch.tensor(2.0).log().item(), torch.tensor(0.5).log().item()]]
    torch.testing.assert_close(encode_boxes(box, anchor), torch.tensor(expected))
    wild = decode_boxes(torch.tensor([[0.0, 0.0, 80.0, 80.0]]), anchor)
    assert wild.isfinite().all()
    assert (wild[0, 2] - wild[0, 0]).item() == pytest.approx(10 * torch.tensor(LARGEST).exp().item())


@pytest.mark.row("MET-03")
def test_generalized_iou_by_hand():
    a = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    others = torch.tensor(
        [[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0], [4.0, 0.0, 6.0, 2.0], [0.0, 0.0, 0.0, 0.0]]
    )
    expected = torch.tensor([[1.0, 1 / 7 - 2 / 9, -2 / 6, 0.0]])
    torch.testing.assert_close(generalized_iou(a, others), expected)
    boxes = some()
    ours = generalized_iou(boxes, boxes)
    torch.testing.assert_close(generalized_iou(boxes + 70, boxes + 70), ours)  # wherever the image begins
    assert (ours <= box_iou(boxes, boxes) + 1e-9).all()
    assert (ours > -1).all()
    torch.testing.assert_close(ours, ours.T)


@pytest.mark.parametrize("function", [to_xywh, centred, clip_boxes, flip_boxes])
def test_corners_in_another_order_are_refused(function):
    arguments = (10, 10)[: len(inspect.signature(function).parameters) - 1]
    with pytest.raises(ValueError, match="x0 <= x1 and y0 <= y1"):
        function(torch.tensor([[5.0, 0.0, 1.0, 1.0]]), *arguments)
    for back in (from_xywh, cornered):
        with pytest.raises(ValueError, match="x0 <= x1 and y0 <= y1"):
            back(torch.tensor([[5.0, 0.0, -1.0, 1.0]]))
