"""Regions of pictures made of flat pieces, and the detectors that take them."""

import pytest
import torch
from torch import nn

from deepcanon.metrics.detection import box_iou
from deepcanon.vision.fast_rcnn import FastRCNN, checked_proposals, proposed
from deepcanon.vision.rcnn import RCNN
from deepcanon.vision.region_head import RegionHead
from deepcanon.vision.region_search import Regions, boxes_of, histograms, segments, selective_search
from deepcanon.vision.regions import roi_align, roi_pool
from tests.contracts.presets.common import with_proposals

PIECES = [
    (0, 0, 14, 40),
    (14, 0, 50, 12),
    (14, 12, 30, 40),
    (30, 12, 50, 26),
    (30, 26, 50, 40),
    (18, 16, 26, 30),
]


def picture(channels: int = 3) -> torch.Tensor:
    """Flat pieces of six colours, the last inside the third."""
    image = torch.zeros(channels, 40, 50)
    colours = torch.linspace(0.05, 0.95, 6)[:, None] * torch.tensor([1.0, 0.4, 0.7])[:channels]
    for (x0, y0, x1, y1), colour in zip(PIECES, colours):
        image[:, y0:y1, x0:x1] = colour[:, None, None]
    return image


@pytest.mark.row("VIS-22")
@pytest.mark.parametrize("channels", [1, 3])
def test_the_box_of_every_flat_piece_is_proposed(channels):
    image = picture(channels)
    found = selective_search(image)
    boxes = torch.tensor(PIECES).float()
    assert box_iou(boxes, found).amax(1).eq(1).all()
    assert box_iou(torch.tensor([[0.0, 0.0, 50.0, 40.0]]), found).amax() == 1  # the whole picture at last
    assert len(found) <= 2 * len(PIECES) - 1
    assert len(found.unique(dim=0)) == len(found)
    assert torch.equal(found, selective_search(image))


@pytest.mark.row("VIS-22")
def test_first_segments_are_the_flat_pieces_and_grow_with_k():
    image = picture()
    number = segments(image, k=0.05)
    assert number.max() == 5
    assert set(boxes_of(number, 6)) == {tuple(piece) for piece in PIECES}
    noisy = (image + 0.02 * torch.randn(3, 40, 50)).clamp(0, 1)
    counts = [int(segments(noisy, k=k, least=1).max()) + 1 for k in (0.05, 0.3, 1.0, 1e4)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 1
    assert counts[0] > 6
    assert segments(noisy, k=0.05, least=30).flatten().bincount().min() >= 30


@pytest.mark.row("VIS-22")
def test_an_edge_joins_what_differs_less_than_its_inside_allows():
    """Two rows of three pixels: 0, 0.1, 0.4 of one channel; columns join at once, the first two with k = 0.3
    (0.1 <= 0.3 / 2), and the third does not: its edge of 0.3 is above 0.1 + 0.3 / 4."""
    image = torch.tensor([[[0.0, 0.1, 0.4], [0.0, 0.1, 0.4]]])
    assert segments(image, k=0.3, least=1).tolist() == [[0, 0, 1], [0, 0, 1]]
    assert segments(image, k=0.15, least=1).tolist() == [[0, 1, 2], [0, 1, 2]]
    assert segments(image, k=5.0, least=1).max() == 0


@pytest.mark.row("VIS-22")
def test_similarities_by_hand():
    image = torch.zeros(1, 4, 6)
    image[:, :, 3:] = 0.9
    number = torch.zeros(4, 6, dtype=torch.int64)
    number[:, 3:] = 1
    looks = histograms(image, number, 2)
    torch.testing.assert_close(looks[:, :16].sum(1), torch.ones(2))
    assert looks[0, 0] == 1
    assert looks[1, 14] == 1  # 0.9 is in the last but one of 16 bins
    torch.testing.assert_close(looks[:, 16:].sum(1), torch.ones(2))  # the edge between them has one direction
    assert (looks[:, 16:] == 1).sum() == 2
    regions = Regions(image, number)
    assert regions.likeness == {
        (0, 1): pytest.approx(1.0 + (1 - 24 / 24) + (1 - 0))
    }  # the same direction, nothing else
    assert regions.merge()
    assert not regions.merge()
    assert regions.boxes[-1] == (0, 0, 6, 4)
    assert regions.sizes == [12, 12, 24]


@pytest.mark.row("VIS-22")
def test_alike_neighbours_join_first():
    image = torch.zeros(1, 10, 30)
    image[:, :, 10:20], image[:, :, 20:] = 0.52, 0.55  # of one bin of colour
    regions = Regions(image, (torch.arange(30) // 10).expand(10, 30))
    assert set(regions.likeness) == {(0, 1), (1, 2)}
    regions.merge()
    assert regions.boxes[-1] == (10, 0, 30, 10)
    assert set(regions.likeness) == {(0, 3)}


def test_images_that_are_none_are_refused():
    with pytest.raises(ValueError, match="expected images of finite numbers"):
        selective_search(torch.full((1, 8, 8), torch.nan))
    with pytest.raises(ValueError, match="expected k of 0 or more, got -1"):
        selective_search(torch.zeros(1, 8, 8), k=-1.0)
    assert selective_search(torch.zeros(1, 8, 8)).tolist() == [[0, 0, 8, 8]]


class Brightness(nn.Module):
    """What is seen of a region: its darkest pixel; counts the regions."""

    def __init__(self):
        super().__init__()
        self.passes = 0

    def forward(self, x):
        self.passes += len(x)
        return x.amin((1, 2, 3))[:, None]


def sure_head(net: nn.Module) -> RegionHead:
    """Object where the feature is above 0.5, background elsewhere; boxes stay."""
    head = RegionHead(net, 1, 1)
    with torch.no_grad():
        head.classes.weight.copy_(torch.tensor([[0.0], [200.0]]))
        head.classes.bias.copy_(torch.tensor([0.0, -100.0]))
        head.change.weight.zero_()
    return head


@pytest.mark.row("VIS-21")
def test_the_net_sees_each_proposal_once_and_finds_the_true_box_exactly():
    x = torch.zeros(1, 1, 40, 40)
    x[:, :, 8:24, 12:30] = 1
    net = Brightness()
    method = RCNN(sure_head(net), selective_search, side=16)
    proposals = torch.tensor(
        [
            [
                [0.0, 0.0, 40.0, 40.0],
                [11.0, 8.0, 30.0, 24.0],
                [12.0, 8.0, 30.0, 24.0],
                [12.0, 8.0, 32.0, 24.0],
                [0.0, 0.0, 0.0, 0.0],
            ]
        ]
    )
    (found,) = method.detect(x, proposals)
    assert net.passes == 4  # the last has no area: it is none
    assert found.boxes.tolist() == [[12, 8, 30, 24]]
    assert found.labels.tolist() == [0]
    assert found.scores.item() > 0.99
    net.passes = 0
    (found,) = method.detect(x)  # by selective search
    assert net.passes == len(selective_search(x[0]))
    assert found.boxes.tolist() == [[12, 8, 30, 24]]


@pytest.mark.row("VIS-23")
@pytest.mark.parametrize("pool", [roi_pool, roi_align])
def test_the_maps_are_computed_once_an_image(pool):
    passes = []

    class Backbone(nn.Module):
        def forward(self, x):
            passes.append(len(x))
            return nn.functional.avg_pool2d(x, 2)

    x = torch.zeros(2, 1, 40, 40)
    x[0, :, 8:24, 12:30], x[1, :, 20:36, 4:20] = 1, 1
    method = FastRCNN(Backbone(), sure_head(Brightness()), selective_search, pool=pool, cells=4)
    proposals = torch.tensor(
        [
            [[0.0, 0.0, 40.0, 40.0], [14.0, 10.0, 28.0, 22.0]],
            [[0.0, 0.0, 40.0, 40.0], [6.0, 22.0, 17.0, 33.0]],
        ]
    )
    found = method.detect(x, proposals)
    assert passes == [2]
    assert [d.boxes.tolist() for d in found] == [[[14, 10, 28, 22]], [[6, 22, 17, 33]]]


@pytest.mark.row("VIS-21", "VIS-23")
@pytest.mark.parametrize("kind", [RCNN, FastRCNN])
def test_the_loss_is_that_of_the_regions_that_are_given_or_found(kind):
    x, boxes, labels, near = with_proposals()
    searched = []

    def search(image):
        searched.append(1)
        return near[0, 3:]

    head = RegionHead(nn.Flatten(), 16, 3, sampled=100, share=1.0)  # all regions: nothing is drawn
    method = RCNN(head, search, side=4) if kind is RCNN else FastRCNN(nn.AvgPool2d(8), head, search, cells=4)
    given = method.loss((x, boxes, labels, near))
    assert not searched
    right = head.errors(method.cut(x), near, boxes, labels)
    assert {name: given[name].item() for name in right} == pytest.approx(
        {k: v.item() for k, v in right.items()}
    )
    assert given["box"] > 0.01
    torch.testing.assert_close(given["loss"], given["class"] + given["box"])
    found = method.loss((x, boxes, labels))
    assert len(searched) == len(x)
    torch.testing.assert_close(
        found["class"], head.errors(method.cut(x), near[:, 3:], boxes, labels)["class"]
    )
    assert not torch.allclose(found["class"], given["class"], atol=1e-4)


def test_proposals_of_several_images_are_joined_and_checked():
    x = torch.stack([torch.zeros(1, 30, 30), picture(1)[:, :30, :30]])
    regions = proposed(selective_search, x)
    assert regions.shape[0] == 2
    assert regions[0, 0].tolist() == [0, 0, 30, 30]
    assert regions[0, 1:].eq(0).all()
    assert torch.equal(regions[1], selective_search(x[1]))
    assert torch.equal(checked_proposals(regions, x), regions)
    with pytest.raises(ValueError, match=r"expected proposals \(2, R, 4\), got"):
        checked_proposals(regions[:1], x)
    with pytest.raises(ValueError, match="expected finite proposals"):
        checked_proposals(regions * torch.nan, x)
