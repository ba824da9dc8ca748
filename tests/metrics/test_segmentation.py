"""Pixel accuracy, IoU and Dice, from counts by hand and against scikit-learn and torchmetrics."""

import jaxtyping
import pytest
import torch
from sklearn import metrics as sk
from torchmetrics.classification import MulticlassJaccardIndex

from deepcanon.metrics.segmentation import class_dice, class_iou, dice, mean_iou, pixel_accuracy, pixel_confusion


@pytest.fixture
def maps():
    """Predicted and true labels of six images of five classes, of which class 3 never occurs; some pixels are void."""
    names = torch.tensor([0, 1, 2, 4])
    predicted, truth = names[torch.randint(4, (2, 6, 9, 7))]
    return predicted, torch.where(torch.rand(6, 9, 7) < 0.2, 255, truth)


@pytest.mark.row("MET-05")
def test_by_hand():
    """Truth 0 0 1 and void, prediction 0 1 1 and 2: each class is right once in two pixels."""
    counts = pixel_confusion(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 0, 1, 255]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert mean_iou(counts) == 0.5
    assert pixel_accuracy(counts) == pytest.approx(2 / 3)
    assert class_iou(counts).isnan().tolist() == [False, False, True]
    torch.testing.assert_close(class_dice(counts), torch.tensor([2 / 3, 2 / 3, 1.0], dtype=torch.float64))


@pytest.mark.row("MET-05")
def test_equal_to_scikit_learn_and_torchmetrics(maps):
    predicted, truth = maps
    counts = pixel_confusion(predicted, truth, 5)
    seen = truth != 255
    y, z = truth[seen].numpy(), predicted[seen].numpy()
    assert counts.tolist() == sk.confusion_matrix(y, z, labels=range(5)).tolist()
    assert pixel_accuracy(counts) == pytest.approx(sk.accuracy_score(y, z))
    assert mean_iou(counts) == pytest.approx(sk.jaccard_score(y, z, average="macro"))
    theirs = MulticlassJaccardIndex(5, ignore_index=255)(predicted, truth)
    assert mean_iou(counts) == pytest.approx(float(theirs))
    assert class_dice(counts)[[0, 1, 2, 4]].tolist() == pytest.approx(sk.f1_score(y, z, average=None).tolist())


@pytest.mark.row("MET-05")
def test_counts_are_pooled_over_the_set(maps):
    """Counts of the images add up to those of the set; the mean of the images' IoUs is another number."""
    predicted, truth = maps
    each = [pixel_confusion(p, t, 5) for p, t in zip(predicted, truth)]
    whole = pixel_confusion(predicted, truth, 5)
    assert torch.equal(torch.stack(each).sum(0), whole)
    one = pixel_confusion(torch.tensor([0, 0]), torch.tensor([0, 1]), 2), pixel_confusion(torch.tensor([1] * 4), torch.tensor([1] * 4), 2)
    assert sum(map(mean_iou, one)) / 2 == 0.625
    assert mean_iou(one[0] + one[1]) == pytest.approx((1 / 2 + 4 / 5) / 2)


@pytest.mark.row("MET-05")
def test_a_class_only_predicted_is_wrong_everywhere():
    assert mean_iou(pixel_confusion(torch.tensor([0, 2]), torch.tensor([0, 0]), 3)) == 0.25


def test_nothing_that_counts():
    counts = pixel_confusion(torch.tensor([0, 1]), torch.tensor([255, 255]), 2)
    assert (pixel_accuracy(counts), mean_iou(counts)) == (0.0, 0.0)
    assert class_dice(counts).tolist() == [1.0, 1.0]


@pytest.mark.row("MET-05")
def test_dice_of_masks():
    a = torch.zeros(4, 3, 3, dtype=torch.bool)
    b = a.clone()
    a[0, 0], b[0, :, 0] = True, True                                                 # three pixels each, one in both
    a[1] = True                                                                      # the other is empty
    a[3], b[3] = True, True
    torch.testing.assert_close(dice(a, b), torch.tensor([1 / 3, 0.0, 1.0, 1.0]))
    assert float(dice(a[0], b[0])) == pytest.approx(1 / 3)


def test_another_ignored_label():
    counts = pixel_confusion(torch.tensor([0, 1, 1]), torch.tensor([0, -1, 1]), 2, ignored=-1)
    assert counts.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(("predicted", "truth", "message"), [
    ([0, 1], [0, 3], r"expected true labels in 0\.\.2 or 255 \(ignored\), got some from 0 to 3"),
    ([0, 3], [0, 1], r"expected predicted labels in 0\.\.2 or 255 \(ignored\), got some from 0 to 3"),
    ([0, -1], [0, 1], "expected predicted labels"),
    ([0, 1], [0, 254], "got some from 0 to 254")])
def test_labels_of_no_class_are_refused(predicted, truth, message):
    with pytest.raises(ValueError, match=message):
        pixel_confusion(torch.tensor(predicted), torch.tensor(truth), 3)


def test_other_shapes_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"expected masks of shape \(1, 2, 2\), got \(1, 2, 3\)"):
        dice(torch.ones(1, 2, 3, dtype=torch.bool), torch.ones(1, 2, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"expected predicted labels of shape \(2,\), got \(3,\)"):
        pixel_confusion(torch.zeros(3, dtype=torch.long), torch.zeros(2, dtype=torch.long), 2)
