"""Anchors, their labels, proposals and the two stages, by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon.engine import Adam, Trainer
from deepcanon.metrics.detection import Objects, box_iou, mean_average_precision
from deepcanon.vision.anchors import anchor_grid, anchor_shapes, match, sample
from deepcanon.vision.boxes import decode_boxes, encode_boxes
from deepcanon.vision.faster_rcnn import FasterRCNN
from deepcanon.vision.region_head import RegionHead
from deepcanon.vision.region_proposals import BETA, RegionProposals
from tests.contracts.presets.common import boxed


@pytest.mark.row("VIS-24")
def test_there_are_as_many_anchors_as_places_times_shapes():
    shapes = anchor_shapes([16.0, 32.0, 64.0], [0.5, 1.0, 2.0])
    assert shapes.shape == (9, 2)
    torch.testing.assert_close(shapes.prod(1), torch.tensor([16.0, 32.0, 64.0]).square().repeat_interleave(3))
    torch.testing.assert_close(shapes[:, 1] / shapes[:, 0], torch.tensor([0.5, 1.0, 2.0]).repeat(3))
    anchors = anchor_grid(shapes, (5, 7), (40, 56))
    assert anchors.shape == (5 * 7 * 9, 4)
    first = anchors[1].tolist()  # the square of 16 about (4, 4)
    assert first == [-4, -4, 12, 12]
    assert anchors[(2 * 7 + 3) * 9 + 4].tolist() == [28 - 16, 20 - 16, 28 + 16, 20 + 16]


@pytest.mark.row("VIS-24")
def test_anchors_are_labelled_by_hand():
    iou = torch.tensor(
        [[[0.75, 0.0, 0.9], [0.5, 0.1, 0.0], [0.2, 0.29, 0.0], [0.1, 0.35, 0.0], [0.0, 0.0, 0.0]]]
    )
    there = torch.tensor([[True, True, False]])
    answer, nearest = match(iou, there, high=0.7, low=0.3)
    assert answer.tolist() == [[1, -1, 0, 1, 0]]  # the fourth is the best of the second object
    assert nearest.tolist()[0][0] == 0
    assert nearest.tolist()[0][3] == 1
    assert match(iou, there, high=0.7, low=0.3, always=False)[0].tolist() == [[1, -1, 0, -1, 0]]
    assert match(iou, ~there & False, high=0.7, low=0.3)[0].tolist() == [[0] * 5]
    assert match(iou[..., :0], there[:, :0], high=0.7, low=0.3)[0].tolist() == [[0] * 5]
    assert match(torch.tensor([[[0.7], [0.3]]]), there[:, :1], high=0.7, low=0.3, always=False)[
        0
    ].tolist() == [[1, -1]]


@pytest.mark.row("VIS-24")
def test_samples_hold_few_positives_and_nothing_that_is_ignored():
    answer = torch.tensor([[1] * 30 + [0] * 50 + [-1] * 20, [1] * 2 + [0] * 98, [1] * 90 + [-1] * 10])
    rows, real = sample(answer, 40, 0.5)
    drawn = answer.gather(1, rows)
    assert [(drawn[i][real[i]] == 1).sum().item() for i in range(3)] == [20, 2, 20]
    assert [(drawn[i][real[i]] == 0).sum().item() for i in range(3)] == [20, 38, 0]
    assert (drawn[real] >= 0).all()
    assert all(len(set(r.tolist())) == 40 for r in rows)
    assert not torch.equal(sample(answer, 40, 0.5)[0], rows)
    share = torch.zeros(80)
    for _ in range(300):  # each positive is as likely, each negative too
        rows, real = sample(answer[:1, :80], 40, 0.5)
        share[rows[0][real[0]]] += 1 / 300
    assert (share[:30] - 20 / 30).abs().max() < 4 * math.sqrt(2 / 9 / 300)
    assert (share[30:] - 20 / 50).abs().max() < 4 * math.sqrt(0.24 / 300)


def region_net(**how) -> RegionProposals:
    return RegionProposals(4, anchor_shapes([10.0], [1.0]), hidden=6, **how)


@pytest.mark.row("VIS-24")
def test_proposals_follow_from_logits_and_changes():
    net = region_net(before=50, after=3)
    anchors = anchor_grid(net.shapes, (4, 4), (32, 32))  # squares of 10 about 4, 12, 20, 28
    target = torch.tensor([[2.0, 3.0, 14.0, 9.0], [15.0, 15.0, 31.0, 30.0], [2.0, 3.0, 14.0, 9.5]])
    logits, change = torch.full((1, 16), -9.0), torch.zeros(1, 16, 4)
    for row, box, logit in zip((0, 10, 1), target, (2.0, 5.0, 1.0)):
        logits[0, row], change[0, row] = logit, encode_boxes(box[None], anchors[row : row + 1])[0]
    (found,) = net.propose(logits, change, anchors, (32, 32))
    torch.testing.assert_close(found[:2], target[[1, 0]], atol=1e-4, rtol=0)  # the third overlaps the first
    assert found.shape == (3, 4)
    assert box_iou(found[2:], target).max() < 0.7
    assert found.amin() >= 0
    assert found.amax() <= 32
    wild = net.propose(logits, torch.full_like(change, -8.0), anchors, (32, 32))
    assert wild.eq(0).all()  # boxes outside the image are no proposals


@pytest.mark.row("VIS-24")
def test_the_losses_of_proposals_are_those_of_the_paper():
    net = region_net(sampled=1000, high=0.7, low=0.3)
    anchors = anchor_grid(net.shapes, (4, 4), (32, 32))
    boxes, labels = torch.tensor([[[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0]]]), torch.tensor([[0, -1]])
    logits, change = torch.randn(1, 16), torch.randn(1, 16, 4)
    iou = box_iou(anchors, boxes[0, :1])[:, 0]
    positive, negative = iou == iou.max(), iou < 0.3
    terms = net.errors(logits, change, anchors, boxes, labels)
    n = (positive | negative).sum()
    object = (
        F.binary_cross_entropy_with_logits(logits[0], positive.float(), reduction="none")[
            positive | negative
        ].sum()
        / n
    )
    difference = (change[0, positive] - encode_boxes(boxes[0, :1], anchors[positive])).abs()
    smooth = torch.where(difference < BETA, difference.square() / (2 * BETA), difference - BETA / 2).sum() / n
    torch.testing.assert_close(terms["objectness"], object)
    torch.testing.assert_close(terms["anchor_box"], smooth)
    none = net.errors(logits, change, anchors, boxes, torch.full((1, 2), -1))
    torch.testing.assert_close(none["objectness"], F.softplus(logits).mean())
    assert none["anchor_box"] == 0
    empty = net.errors(logits, change, anchors, boxes[:, :0], labels[:, :0])
    torch.testing.assert_close(empty["objectness"], none["objectness"])


def constant_head(logits: torch.Tensor, change: torch.Tensor, **how) -> RegionHead:
    """A head that says the same of every region."""
    head = RegionHead(nn.Flatten(), 4, len(logits) - 1, **how)
    with torch.no_grad():
        head.classes.weight.zero_(), head.change.weight.zero_()
        head.classes.bias.copy_(logits), head.change.bias.copy_(change.flatten())
    return head


def cut(regions: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Regions whose content does not matter."""
    assert len(regions) == len(images)
    assert (regions[:, 2:] > regions[:, :2]).all()
    return torch.zeros(len(regions), 1, 2, 2)


@pytest.mark.row("VIS-23")
def test_the_losses_of_regions_are_those_of_the_paper():
    logits, change = (
        torch.tensor([0.1, 0.7, -0.3]),
        torch.tensor([[0.1, -0.2, 0.3, 0.0], [1.5, 0.0, -2.0, 0.4]]),
    )
    head = constant_head(logits, change, sampled=100, share=1.0)
    boxes, labels = torch.tensor([[[2.0, 2.0, 12.0, 12.0], [0.0, 0.0, 0.0, 0.0]]]), torch.tensor([[1, -1]])
    regions = torch.tensor(
        [[[3.0, 2.0, 12.0, 13.0], [20.0, 20.0, 30.0, 30.0], [2.0, 2.0, 12.0, 6.0], [0.0, 0.0, 0.0, 0.0]]]
    )
    terms = head.errors(cut, regions, boxes, labels)
    log_p = logits.log_softmax(0)  # two positive regions: the first, and the object itself
    torch.testing.assert_close(terms["class"], -(2 * log_p[2] + 2 * log_p[0]) / 4)
    units = torch.tensor([10.0, 10.0, 5.0, 5.0])
    targets = [encode_boxes(boxes[0, :1], r[None])[0] * units for r in (regions[0, 0], boxes[0, 0])]
    torch.testing.assert_close(
        terms["box"], sum(F.smooth_l1_loss(change[1], t, reduction="sum") for t in targets) / 4
    )
    few = constant_head(logits, change, sampled=2, share=0.5).errors(cut, regions, boxes, labels)
    torch.testing.assert_close(few["class"], -(log_p[2] + log_p[0]) / 2)
    none = head.errors(cut, regions[:, :0], boxes[:, :0], labels[:, :0])
    assert none["class"] == none["box"] == 0


def test_first_weights_are_small_as_in_the_papers():
    head, net = RegionHead(nn.Flatten(), 400, 5), RegionProposals(64, anchor_shapes([10.0]), hidden=64)
    for layer, std in ((head.classes, 0.01), (head.change, 0.001), (net.conv, 0.01), (net.change, 0.01)):
        assert layer.weight.std().item() == pytest.approx(std, rel=0.1)
        assert layer.bias.eq(0).all()


def test_three_classes_have_four_logits():
    assert RegionHead(nn.Flatten(), 4, 3).classes.out_features == 4
    assert RegionHead(nn.Flatten(), 4, 3).change.out_features == 12


@pytest.mark.row("VIS-23")
def test_detections_are_regions_changed_as_their_class_says():
    units = torch.tensor([10.0, 10.0, 5.0, 5.0])
    change = torch.tensor([[0.1, 0.0, 0.0, 0.0], [0.0, 0.0, math.log(2.0), 0.0]])
    head = constant_head(torch.tensor([0.0, 2.0, 1.0]), change * units)
    regions = torch.tensor(
        [[[10.0, 10.0, 20.0, 20.0], [0.0, 0.0, 0.0, 0.0]], [[30.0, 4.0, 40.0, 8.0], [4.0, 40.0, 24.0, 60.0]]]
    )
    first, second = head.detections(cut, regions, (50, 50))
    p = torch.tensor([0.0, 2.0, 1.0]).softmax(0)
    assert first.labels.tolist() == [0, 1]
    torch.testing.assert_close(first.scores, p[1:])
    torch.testing.assert_close(first.boxes, torch.tensor([[11.0, 10.0, 21.0, 20.0], [5.0, 10.0, 25.0, 20.0]]))
    assert len(second.labels) == 4
    assert second.boxes.amax() == 50  # clipped to the image
    assert [len(d.labels) for d in head.detections(cut, regions, (50, 50), least=0.5)] == [1, 2]


@pytest.mark.row("VIS-24")
def test_two_stages_learn_where_squares_are_and_how_bright():
    torch.manual_seed(0)
    batch = boxed(n=24)
    net = nn.Sequential(
        nn.Conv2d(1, 24, 5, 2, 2),
        nn.ReLU(),
        nn.Conv2d(24, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, 1, 1),
        nn.ReLU(),
    )
    head = RegionHead(nn.Sequential(nn.Flatten(), nn.Linear(32 * 16, 64), nn.ReLU()), 64, 3, sampled=32)
    method = FasterRCNN(
        net, RegionProposals(32, anchor_shapes([10.0], [1.0]), hidden=32, after=20), head, cells=4
    )

    class Same:
        def at(self, step):
            return batch

    Trainer(method, Same(), Adam(3e-3), total=120).run()
    found = method.eval().detect(batch[0])
    objects = [Objects(b[k >= 0], k[k >= 0]) for b, k in zip(batch[1], batch[2])]
    assert mean_average_precision(found, objects, 3)[0].nanmean() > 0.9


@pytest.mark.row("VIS-24")
def test_the_loss_is_the_sum_of_its_terms_and_corners_get_no_gradient():
    batch = boxed()
    shapes = anchor_shapes([12.0], [1.0])
    method = FasterRCNN(
        nn.Conv2d(1, 4, 8, 8),
        RegionProposals(4, shapes, hidden=8, after=6),
        RegionHead(nn.Flatten(), 16, 3),
        cells=2,
    )
    terms = method.loss(batch)
    assert set(terms) == {"loss", "objectness", "anchor_box", "class", "box"}
    torch.testing.assert_close(terms["loss"], sum(v for k, v in terms.items() if k != "loss"))
    (terms["class"] + terms["box"]).backward()
    assert all(p.grad is None for p in method.proposals.parameters())
    with pytest.raises(ValueError, match="expected finite values, got"):
        method.detect(batch[0] * torch.nan)
    method.backbone = nn.Flatten()
    with pytest.raises(
        ValueError, match=r"expected the backbone to give maps \(6, F, h, w\), got \(6, 1024\)"
    ):
        method.loss(batch)


def test_anchors_that_cannot_be_meant_are_refused():
    with pytest.raises(ValueError, match=r"all above 0, got \[16.0, 0.0\] and \[1.0\]"):
        anchor_shapes([16.0, 0.0], [1.0])
    with pytest.raises(ValueError, match=r"expected one size and one ratio or more"):
        anchor_shapes([], [1.0])
    assert decode_boxes(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0, 4)
