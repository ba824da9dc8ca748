"""YOLO's grid, its targets and its loss, by hand."""

import pytest
import torch
from torch import nn

from deepcanon.metrics.detection import box_iou
from deepcanon.vision.detections import checked_images, checked_targets
from deepcanon.vision.yolo import YOLO, encode_cells

SIZE = (70, 140)  # cells of 10 x 20 in a grid of 7 x 7
BOXES = torch.tensor([[[30.0, 12.0, 70.0, 32.0], [0.0, 60.0, 12.0, 70.0], [0.0, 0.0, 0.0, 0.0]]])
LABELS = torch.tensor([[4, 1, -1]])


def said(output: torch.Tensor) -> nn.Module:
    """A net that says the same of every image, (B, S, T, D)."""

    class Said(nn.Module):
        def forward(self, x):
            return output.permute(0, 3, 1, 2)

    return Said()


def perfect(boxes=BOXES, labels=LABELS, size=SIZE, grid=7, classes=20) -> torch.Tensor:
    """An output that is right: both boxes of a cell are the object's, the first is sure of it."""
    cells = encode_cells(boxes, labels, (grid, grid), size, classes)
    confidence = cells.answers[..., None].float()
    own = torch.cat([cells.place, cells.root, confidence], -1)
    second = torch.cat([cells.place, cells.root * 0.5, torch.zeros_like(confidence)], -1)
    return torch.cat([own, second, cells.classes], -1)


@pytest.mark.row("VIS-20")
def test_the_output_is_that_of_the_paper():
    net = nn.Sequential(nn.AdaptiveAvgPool2d(7), nn.Conv2d(3, 30, 1))
    method = YOLO(net, 20)
    output = method.output(torch.rand(2, 3, 28, 28))
    assert output.shape == (2, 7, 7, 30)
    own, p = method.split(output)
    assert own.shape == (2, 7, 7, 2, 5)
    assert p.shape == (2, 7, 7, 20)
    assert own[..., 4].numel() // 2 == 98  # boxes of an image
    assert output[0].numel() == 1470
    assert torch.equal(own[0, 3, 4, 1], output[0, 3, 4, 5:10])


@pytest.mark.row("VIS-20")
def test_targets_by_hand():
    cells = encode_cells(BOXES, LABELS, (7, 7), SIZE, 20)
    assert cells.answers.nonzero().tolist() == [[0, 2, 2], [0, 6, 0]]  # centres (50, 22) and (6, 65)
    torch.testing.assert_close(cells.place[0, 2, 2], torch.tensor([0.5, 0.2]))
    torch.testing.assert_close(cells.root[0, 2, 2], torch.tensor([40 / 140, 20 / 70]).sqrt())
    assert cells.classes[0, 2, 2].nonzero().tolist() == [[4]]
    assert cells.classes[0, 6, 0].argmax() == 1
    assert cells.box[0, 2, 2].tolist() == BOXES[0, 0].tolist()
    assert all(part[0, 0, 0].eq(0).all() for part in cells[1:])


@pytest.mark.row("VIS-20")
def test_of_two_objects_in_a_cell_the_first_is_learned_and_borders_belong_to_the_last_cell():
    boxes = torch.tensor([[[42.0, 22.0, 58.0, 26.0], [40.0, 20.0, 60.0, 30.0], [130.0, 60.0, 150.0, 80.0]]])
    cells = encode_cells(boxes, torch.tensor([[3, 5, 0]]), (7, 7), SIZE, 6)
    assert cells.answers.nonzero().tolist() == [
        [0, 2, 2],
        [0, 6, 6],
    ]  # the third has its centre in the corner (140, 70)
    assert cells.classes[0, 2, 2].argmax() == 3
    assert cells.box[0, 2, 2].tolist() == boxes[0, 0].tolist()
    torch.testing.assert_close(cells.place[0, 6, 6], torch.ones(2))


@pytest.mark.row("VIS-20")
def test_boxes_come_back_from_their_cells():
    low = torch.rand(3, 1, 2) * torch.tensor([90.0, 40.0])
    boxes = torch.cat([low, low + 2 + torch.rand(3, 1, 2) * 28], -1)
    labels = torch.tensor([[0], [1], [2]])
    cells = encode_cells(boxes, labels, (7, 7), SIZE, 3)
    method = YOLO(said(torch.zeros(0)), 3)
    decoded = method.decode(perfect(boxes, labels, classes=3), SIZE)  # (B, S, T, A, 4)
    torch.testing.assert_close(decoded[cells.answers][:, 0], boxes[:, 0], atol=2e-5, rtol=1e-6)
    doubles = method.decode(perfect(boxes.double(), labels, classes=3).double(), SIZE)
    torch.testing.assert_close(doubles[cells.answers][:, 0], boxes[:, 0].double(), atol=1e-6, rtol=0)


@pytest.mark.row("VIS-20")
def test_a_perfect_output_has_no_loss_and_is_detected():
    method, x = YOLO(said(perfect()), 20), torch.zeros(1, 1, *SIZE)
    loss = method.loss((x, BOXES, LABELS))
    assert all(v.abs() < 1e-10 for v in loss.values())
    (found,) = method.detect(x)
    order = found.labels.argsort(descending=True)
    assert found.labels[order].tolist() == [4, 1]
    torch.testing.assert_close(found.boxes[order], BOXES[0, :2], atol=1e-4, rtol=0)
    torch.testing.assert_close(found.scores, torch.ones(2))


@pytest.mark.row("VIS-20")
def test_every_term_of_the_loss_by_hand():
    right, x = perfect(), torch.zeros(1, 1, *SIZE)

    def loss(change) -> dict:
        output = right.clone()
        change(output)
        return {
            k: round(v.item(), 5)
            for k, v in YOLO(said(output), 20, lam_xy=5.0, lam_no=0.5).loss((x, BOXES, LABELS)).items()
            if k != "loss"
        }

    none = {"place": 0, "object": 0, "empty": 0, "class": 0}
    assert loss(lambda y: y[0, 0, 0, 4].add_(0.4)) == none | {"empty": 0.08}  # 0.5 x 0.4^2
    assert loss(lambda y: y[0, 2, 2, 9].add_(0.4)) == none | {"empty": 0.08}  # the box that does not answer
    assert loss(lambda y: y[0, 2, 2, 4].sub_(0.3)) == none | {"object": 0.09}
    assert loss(lambda y: y[0, 2, 2, 10 + 7].add_(0.2)) == none | {"class": 0.04}
    assert loss(lambda y: y[0, 0, 0, 10 + 7].add_(0.2)) == none  # no object in that cell
    moved = loss(lambda y: y[0, 2, 2, 0].add_(0.1))  # 2 pixels to the right of 40
    iou = 38 / 42
    assert moved == none | {"place": 0.05, "object": round((1 - iou) ** 2, 5)}
    sized = loss(lambda y: y[0, 2, 2, 2].mul_(1.2))
    assert sized["place"] == round(5 * (0.2 * (40 / 140) ** 0.5) ** 2, 5)
    assert sized["object"] == round((1 - 1 / 1.44) ** 2, 5)


@pytest.mark.row("VIS-20")
def test_the_box_of_the_highest_overlap_answers():
    output = perfect()
    own, second = output[..., :5].clone(), output[..., 5:10].clone()
    output[..., :5], output[..., 5:10] = second, own
    method, x = YOLO(said(output), 20), torch.zeros(1, 1, *SIZE)
    assert method.loss((x, BOXES, LABELS))["loss"] < 1e-10
    decoded = method.decode(output, SIZE)[0, 2, 2]
    assert box_iou(decoded, BOXES[0, :1])[:, 0].argmax() == 1


@pytest.mark.row("VIS-20")
def test_the_confidence_is_held_to_an_overlap_that_gets_no_gradient():
    output = perfect()
    output[..., 4] = 0.3
    output.requires_grad_()
    terms = YOLO(said(output), 20).loss((torch.zeros(1, 1, *SIZE), BOXES, LABELS))
    terms["object"].backward()
    assert output.grad[..., :4].eq(0).all()
    torch.testing.assert_close(output.grad[0, 2, 2, 4], torch.tensor(2 * (0.3 - 1.0)), atol=1e-5, rtol=1e-5)


def test_scores_and_overlaps_below_the_thresholds_are_left_out():
    output = perfect()
    output[0, 2, 3] = output[0, 2, 2]
    output[0, 2, 3, 0] -= 1  # the neighbour says the same box
    output[0, 2, 3, 4] = 0.7
    method, x = YOLO(said(output), 20), torch.zeros(1, 1, *SIZE)
    assert method.detect(x)[0].labels.tolist().count(4) == 1
    assert method.detect(x, threshold=1.0)[0].labels.tolist().count(4) == 2
    assert len(method.detect(x, least=1.1)[0].scores) == 0
    output[0, 6, 0, 0] -= 0.3  # boxes end at the edges of the image
    assert method.detect(x)[0].boxes.amin() == 0


@pytest.mark.parametrize(
    ("boxes", "labels", "message"),
    [
        (BOXES[0], LABELS, r"expected boxes \(1, M, 4\) and labels \(1, M\), got \(3, 4\) and \(1, 3\)"),
        (BOXES, LABELS.float(), r"expected whole-number labels in 0..19, -1 for none, got torch.float32"),
        (
            BOXES,
            LABELS + 17,
            "expected whole-number labels in 0..19, -1 for none, got torch.int64 from 16 to 21",
        ),
        (BOXES * torch.nan, LABELS, "expected finite boxes, got some that are nan or inf"),
        (BOXES.flip(-1), LABELS, "with an area, x0 < x1 and y0 < y1, got some without"),
        (
            BOXES * 3,
            LABELS,
            r"expected boxes in pixels of 140 x 70 images, got corners from 0 to \(210, 210\)",
        ),
        (BOXES - 30, LABELS, "expected boxes in pixels of 140 x 70 images, got corners from -30"),
    ],
)
def test_targets_that_cannot_be_meant_are_refused(boxes, labels, message):
    with pytest.raises(ValueError, match=message):
        checked_targets(torch.zeros(1, 1, *SIZE), boxes, labels, 20)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int64, torch.float32, torch.float64])
def test_boxes_of_16_bits_and_whole_numbers_are_widened(dtype):
    boxes = checked_targets(torch.zeros(1, 1, *SIZE), BOXES.to(dtype), LABELS, 20)
    assert boxes.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.equal(boxes, BOXES.to(boxes))


def test_images_and_nets_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"expected a batch \(images, boxes, labels\), got 2 entries"):
        YOLO(said(perfect()), 20).loss((torch.zeros(1, 1, *SIZE), BOXES))
    grey = YOLO(nn.Conv2d(3, 30, 8, 8), 20)
    with pytest.raises(ValueError, match=r"YOLO\.detect fails on \(1, 1, 16, 16\) float32: "):
        grey.detect(torch.zeros(1, 1, 16, 16))
    with pytest.raises(ValueError, match=r"YOLO\.detect: expected a finite least, got nan"):
        grey.detect(torch.zeros(1, 3, 16, 16), least=float("nan"))
    with pytest.raises(ValueError, match="divide 8-bit images by 255"):
        checked_images(torch.zeros(1, 1, *SIZE, dtype=torch.uint8))
    method = YOLO(said(perfect()), 19)
    with pytest.raises(
        ValueError, match=r"expected the net to give \(1, 29, S, T\), .* and 19 classes, got \(1, 30, 7, 7\)"
    ):
        method.loss((torch.zeros(1, 1, *SIZE), BOXES, LABELS))
    with pytest.raises(ValueError, match="expected finite values, got 9800 of 9800 that are nan or inf"):
        YOLO(said(perfect()), 20).detect(torch.full((1, 1, *SIZE), torch.nan))
