"""Objects from predicted maps: insides, borders and growth."""

import jaxtyping
import pytest
import torch
from torch import nn

from deepcanon.metrics.instances import mask_iou, mean_precision
from deepcanon.vision.instances import InstanceSegmenter, grown, objects_of, three_classes


def discs(*places, side: int = 40, radius: float = 5.2) -> torch.Tensor:
    """A map of numbered discs, the later ones over the earlier."""
    at = torch.arange(side)
    y = torch.zeros(side, side, dtype=torch.long)
    for number, (row, column) in enumerate(places, 1):
        y[(at[:, None] - row) ** 2 + (at - column) ** 2 < radius**2] = number
    return y


class Perfect(nn.Module):
    """A net that is given the three classes as its image, and says them with certainty."""

    def forward(self, x):
        return 20 * (x - 0.5)


class Broken(Perfect):
    """The same, and nan where its input is far above 1."""

    def forward(self, x):
        return torch.where(x > 1e6, torch.nan, super().forward(x))


def one_hot(classes: torch.Tensor) -> torch.Tensor:
    return nn.functional.one_hot(classes.clamp(max=2), 3).movedim(-1, 1).float()


@pytest.mark.row("VIS-26")
def test_perfect_masks_of_objects_apart_give_their_number():
    y = discs((8, 8), (8, 28), (28, 8), (30, 30))[None]
    found = objects_of(y > 0, y > 0)
    assert found.unique().tolist() == [0, 1, 2, 3, 4]
    iou = mask_iou(found[0], y[0])
    assert torch.equal(iou, torch.eye(4, dtype=torch.float64))                       # numbered in reading order


@pytest.mark.row("VIS-26")
def test_objects_that_touch_are_told_apart_by_their_borders():
    y = discs((12, 12), (12, 21), (21, 16), (32, 32))[None]
    assert objects_of(y > 0, y > 0).max() == 2                                       # the masks alone join three of them
    method = InstanceSegmenter(Perfect())
    found = method.predict(one_hot(three_classes(y)))
    assert found.dtype == torch.int64
    assert found.max() == 4
    assert mask_iou(found[0], y[0]).amax(0).min() > 0.85
    metrics = method.metrics((one_hot(three_classes(y)), y))
    assert metrics["dice"].item() == 1.0
    assert metrics["mean_precision"].item() == pytest.approx(mean_precision(found[0], y[0]))
    assert metrics["mean_precision"] > 0.8


@pytest.mark.row("VIS-26")
def test_the_three_classes_by_hand():
    y = torch.zeros(1, 6, 8, dtype=torch.long)
    y[0, 1:5, 0:4], y[0, 1:5, 4:8] = 3, 9                                            # two that touch, at the edges of the image
    y[0, 0, 7] = -1
    assert three_classes(y)[0].tolist() == [[0] * 7 + [255], [2] * 8, [1, 1, 1, 2, 2, 1, 1, 1], [1, 1, 1, 2, 2, 1, 1, 1], [2] * 8, [0] * 8]


def test_small_parts_are_left_out_and_parts_without_an_inside_are_objects():
    object = torch.zeros(1, 12, 12, dtype=torch.bool)
    object[0, 1:5, 1:5] = object[0, 8:11, 8:11] = object[0, 1, 10] = True
    inside = torch.zeros_like(object)
    inside[0, 2:4, 2:4] = True
    assert objects_of(inside, object).unique(return_counts=True)[1].tolist() == [144 - 26, 16, 1, 9]
    assert objects_of(inside, object, min_size=9).unique(return_counts=True)[1].tolist() == [144 - 25, 16, 9]
    assert objects_of(inside, object, min_size=10).max() == 1
    assert not objects_of(inside, torch.zeros_like(object)).any()                    # an inside of nothing is nothing


class Stated(nn.Module):
    """A net that is given the probabilities of the three classes as its image."""

    def forward(self, x):
        return x.log()


@pytest.mark.row("VIS-26")
def test_what_is_inside_and_what_is_an_object_by_probability():
    """Two insides at 0.6 with less sure pixels between them, and pixels that are rather background."""
    inside, object, neither = (0.3, 0.6, 0.1), (0.45, 0.45, 0.1), (0.55, 0.4, 0.05)
    row = [inside, inside, object, object, inside, neither, object, neither]
    x = torch.tensor(row).T.reshape(1, 3, 1, 8).expand(1, 3, 2, 8)
    found = InstanceSegmenter(Stated(), min_size=1).predict(x)
    assert found[0].tolist() == 2 * [[1, 1, 1, 2, 2, 0, 3, 0]]
    assert InstanceSegmenter(Stated(), min_size=3).predict(x)[0].tolist() == 2 * [[1, 1, 1, 2, 2, 0, 0, 0]]


def test_growth_is_even_and_stays_inside():
    labels = torch.zeros(1, 3, 9, dtype=torch.long)
    labels[0, 1, 1], labels[0, 1, 7] = 5, 4
    object = torch.ones(1, 3, 9, dtype=torch.bool)
    object[0, 0] = False
    out = grown(labels, object)
    assert out[0, 1].tolist() == [5, 5, 5, 5, 5, 4, 4, 4, 4]
    assert not out[0, 0].any()


def test_what_is_unknown_is_found_nowhere():
    y = discs((12, 12), (28, 28))[None]
    x = one_hot(three_classes(y))
    y[y == 2] = -1
    metrics = InstanceSegmenter(Perfect()).metrics((x, y))
    assert metrics["mean_precision"].item() == metrics["dice"].item() == 1.0
    assert InstanceSegmenter(Perfect()).weight((x, y)) == (y >= 0).sum()
    assert InstanceSegmenter(Perfect()).loss((x, y))["nll"] < 1e-3


def test_metrics_of_a_nan_are_nan():
    y = discs((12, 12))[None].repeat(2, 1, 1)
    x = one_hot(three_classes(y))
    x[1, 0, 0, 0] = 1e9
    for name, value in InstanceSegmenter(Broken()).metrics((x, y)).items():
        assert value.isnan().tolist() == [False, True], name


@pytest.mark.parametrize("y", [torch.zeros(1, 4, 4), torch.zeros(4, 4, dtype=torch.long)])
def test_other_maps_are_refused(y, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"expected maps of objects, int64 \(B, H, W\)"):
        InstanceSegmenter(Perfect()).loss((torch.zeros(1, 3, 4, 4), y))
