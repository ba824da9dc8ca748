"""Sliding windows, and the same in one pass."""

import math

import pytest
import torch
from torch import nn

from deepcanon.metrics.detection import box_iou
from deepcanon.vision.overfeat import OverFeat, as_convolutions, merge_boxes
from deepcanon.vision.sliding_windows import classify_windows, window_grid, window_shapes


@pytest.mark.row("VIS-16")
@pytest.mark.parametrize("stride", [0.1, 0.25, 1.0])
def test_there_are_as_many_windows_as_the_closed_form_says(stride):
    size = (37, 52)
    shapes = window_shapes(size, [1.0, 0.5, 1 / 3], [0.5, 1.0, 2.0])
    expected = sum(
        (math.floor((37 - h) / s_h) + 1) * (math.floor((52 - w) / s_w) + 1)
        for h, w in shapes
        for s_h, s_w in [(max(1, int(h * stride)), max(1, int(w * stride)))]
    )
    found = window_grid(size, shapes, stride)
    assert len(found) == expected
    assert len(found.unique(dim=0)) == expected
    assert found.amin() == 0
    assert found[:, 3].amax() <= 37
    assert found[:, 2].amax() <= 52
    assert {(int(h), int(w)) for h, w in (found[:, 2:] - found[:, :2]).flip(1).tolist()} == set(shapes)


@pytest.mark.row("VIS-16")
def test_shapes_have_their_scale_and_ratio():
    assert window_shapes((40, 60), [1.0, 0.5], [1.0]) == [(40, 40), (20, 20)]
    assert window_shapes((40, 60), [0.5], [4.0, 0.25]) == [(40, 10), (10, 40)]
    assert window_shapes((40, 60), [1.0], [4.0]) == []  # 80 pixels high
    assert window_grid((40, 60), []).shape == (0, 4)
    assert window_grid((4, 6), [(4, 5)], 1.0).tolist() == [[0, 0, 5, 4]]
    assert window_grid((4, 4), [(2, 3)], 0.1).tolist() == [
        [0, 0, 3, 2],
        [1, 0, 4, 2],
        [0, 1, 3, 3],
        [1, 1, 4, 3],
        [0, 2, 3, 4],
        [1, 2, 4, 4],
    ]
    for shapes in (lambda: window_shapes((4, 4), [0.0]), lambda: window_shapes((4, 4), [1.0], [-1.0])):
        with pytest.raises(ValueError, match="expected scales and ratios above 0"):
            shapes()
    with pytest.raises(ValueError, match="expected a stride above 0, got 0"):
        window_grid((4, 4), [(2, 2)], 0.0)


@pytest.mark.row("VIS-16")
def test_a_planted_template_is_located_exactly():
    template, image = torch.rand(1, 12, 12), 0.5 * torch.rand(1, 40, 50)
    image[:, 9:21, 23:35] = template
    boxes = window_grid((40, 50), [(12, 12), (24, 24)], 1 / 12)
    scores = classify_windows(lambda x: -(x - template).square().sum((1, 2, 3))[:, None], image, boxes, 12)
    assert boxes[scores[:, 0].argmax()].tolist() == [23, 9, 35, 21]
    assert scores.amax().item() == pytest.approx(0, abs=1e-8)
    assert classify_windows(lambda x: x.mean((1, 2, 3))[:, None], image, boxes[:0], 12).shape == (0, 1)


def classifier() -> nn.Sequential:
    """Of 3 x 20 x 28 images, without padding, of stride 4."""
    maps = [nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(
        *maps,
        nn.Flatten(),
        nn.Linear(8 * 3 * 5, 16),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(16, 7, bias=False),
    ).eval()


@pytest.mark.row("VIS-18")
def test_every_place_says_what_the_net_says_of_that_crop():
    net, x = classifier(), torch.rand(2, 3, 52, 64)
    dense = as_convolutions(net, (3, 20, 28)).eval()(x)
    assert dense.shape == (2, 7, 9, 10)
    crops = torch.stack(
        [net(x[:, :, 4 * i : 4 * i + 20, 4 * j : 4 * j + 28]) for i in range(9) for j in range(10)], -1
    )
    torch.testing.assert_close(dense.flatten(2), crops, atol=1e-5, rtol=1e-5)


@pytest.mark.row("VIS-18")
def test_the_convolutions_share_the_weights_and_leave_the_net_as_it_was():
    net = classifier().train()
    dense = as_convolutions(net, (3, 20, 28))
    assert dense[6].weight.shape == (16, 8, 3, 5)
    assert dense[6].weight.data_ptr() == net[7].weight.data_ptr()
    assert dense[9].weight.shape == (7, 16, 1, 1)
    assert dense[9].bias is None
    assert all(layer.training for layer in net)
    with pytest.raises(
        ValueError, match=r"expected a net with one nn\.Flatten between maps and linear layers, got 0"
    ):
        as_convolutions(nn.Sequential(nn.Conv2d(3, 4, 3)), (3, 20, 28))
    with pytest.raises(ValueError, match="expected a linear layer on 3 x 20 x 28 numbers, got one on 9"):
        as_convolutions(nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), (3, 20, 28))


@pytest.mark.row("VIS-17")
def test_merged_boxes_are_weighted_means():
    box = torch.tensor([3.0, 4.0, 9.0, 11.0])
    torch.testing.assert_close(merge_boxes(box.expand(5, 4), torch.rand(5)), box)
    boxes, weights = torch.rand(6, 4) * 10, torch.rand(6)
    torch.testing.assert_close(
        merge_boxes(boxes[:5], weights[:5]), merge_boxes(boxes, weights * torch.tensor([1.0, 1, 1, 1, 1, 0]))
    )
    merged = merge_boxes(boxes, weights)
    assert ((merged >= boxes.amin(0)) & (merged <= boxes.amax(0))).all()
    torch.testing.assert_close(
        merge_boxes(boxes[:2], torch.tensor([3.0, 1.0])), (3 * boxes[0] + boxes[1]) / 4
    )
    torch.testing.assert_close(
        merge_boxes(torch.stack([boxes, boxes * 2]), torch.stack([weights, weights]))[1], 2 * merged
    )
    with pytest.raises(ValueError, match="expected a weight above 0"):
        merge_boxes(boxes, torch.zeros(6))
    for bad in (torch.full((6,), torch.nan), -torch.ones(6)):
        with pytest.raises(ValueError, match=r"expected one weight of 0 or more a box, \(6,\)"):
            merge_boxes(boxes, bad)


class Bright(nn.Module):
    """Of a window of 8 x 8: whether its four middle pixels are bright, and the box of these in shares of the
    window.
    """

    def forward(self, x):
        middle = x[:, :, 3:5, 3:5].mean((1, 2, 3))
        return torch.stack(
            [
                20 * (0.5 - middle),
                20 * (middle - 0.5),
                *(torch.full_like(middle, v) for v in (0.5, 0.5, 0.25, 0.25)),
            ],
            1,
        )


def bright_net() -> nn.Sequential:
    """The same as layers."""
    net = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(64, 6))
    weight = torch.zeros(8, 8)
    weight[3:5, 3:5] = 0.25
    with torch.no_grad():
        net[2].weight.zero_()
        net[2].weight[0], net[2].weight[1] = -20 * weight.flatten(), 20 * weight.flatten()
        net[2].bias.copy_(torch.tensor([10.0, -10.0, 0.5, 0.5, 0.25, 0.25]))
    return net


@pytest.mark.row("VIS-17")
def test_windows_of_all_scales_find_the_object():
    x = torch.zeros(1, 1, 30, 40)
    x[:, :, 12:14, 21:23] = 1
    torch.testing.assert_close(bright_net()(x[:, :, :8, :8]), Bright()(x[:, :, :8, :8]))
    method = OverFeat(bright_net(), (1, 8, 8), stride=1)
    seen = method.windows(x)
    assert seen.logits.shape == (1, 23 * 33, 2)
    best = seen.logits[0, :, 1].argmax()
    assert best == 9 * 33 + 18  # the window from (18, 9) has the object in its middle
    assert seen.boxes[0, best].tolist() == [21, 12, 23, 14]
    found = method.locate(x)
    assert found.labels.tolist() == [0]  # most windows are sure that there is nothing
    weights = seen.logits.softmax(-1)[..., 1]
    merged = merge_boxes(seen.boxes, weights)
    torch.testing.assert_close(merged, torch.tensor([[21.0, 12.0, 23.0, 14.0]]), atol=0.05, rtol=0)
    twice = OverFeat(bright_net(), (1, 8, 8), stride=1, scales=(1.0, 2.0))
    both = twice.windows(x)
    assert both.logits.shape == (1, 23 * 33 + 53 * 73, 2)
    large = both.logits[0, 23 * 33 :, 1] > 5  # at twice the size its four quarters are in the middle
    assert box_iou(both.boxes[0, 23 * 33 :][large], torch.tensor([[21.0, 12.0, 23.0, 14.0]])).min() > 0.1
    assert both.boxes[0, 23 * 33 :][large].amax() <= 23.5
    with pytest.raises(
        ValueError, match=r"images of 30 x 40 at scale 0\.2 are smaller than a window of 8 x 8"
    ):
        OverFeat(bright_net(), (1, 8, 8), stride=1, scales=(0.2,)).windows(x)
    with pytest.raises(ValueError, match="expected a stride of 1 or more and scales above 0"):
        OverFeat(bright_net(), (1, 8, 8), stride=0)


@pytest.mark.row("VIS-17")
def test_the_answer_of_an_image_is_its_surest_window_and_the_mean_of_all():
    method = OverFeat(bright_net(), (1, 8, 8), stride=1)
    x = torch.zeros(2, 1, 8, 8)
    x[1, :, 3:5, 3:5] = 1
    found = method.locate(x)
    assert found.labels.tolist() == [0, 1]
    assert found.boxes.tolist() == [[3, 3, 5, 5], [3, 3, 5, 5]]
    torch.testing.assert_close(found.scores, torch.tensor([20.0, 20.0]).sigmoid())
