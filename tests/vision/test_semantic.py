"""The segmenter: its loss against the formulas, what does not count, sides of any length, and a run that learns shapes."""

import jaxtyping
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from deepcanon import recipes
from deepcanon.engine import options
from deepcanon.layers.joint import joining
from deepcanon.nets.segmentation_unet import SegmentationUNet
from deepcanon.vision.semantic import Segmenter, pixel_nll, soft_dice


@pytest.fixture
def annotations_unchecked(monkeypatch):
    """What a user meets, whose calls are not checked against the annotations."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


class Broken(nn.Module):
    """A net whose logit is nan where its input is far below 0."""

    def forward(self, x):
        return torch.where(x < -1e6, torch.nan, x)


@pytest.fixture
def batch():
    """Images of three channels, which are the logits of a net that does nothing, and labels with void pixels."""
    x, y = torch.randn(4, 3, 5, 6, dtype=torch.float64), torch.randint(3, (4, 5, 6))
    return x, torch.where(torch.rand(4, 5, 6) < 0.3, 255, y)


@pytest.fixture
def circles_and_squares():
    """160 images of a disc and a square, 32 x 32 in grey with noise, and their labels."""
    rng, at = np.random.default_rng(0), np.arange(32)
    y = np.zeros((160, 32, 32), np.int64)
    for one in y:
        for label, column in enumerate(rng.permutation([8, 24]), 1):
            r, c, half = rng.uniform(8, 24), column + rng.uniform(-3, 3), rng.uniform(4, 7)
            down, across = np.broadcast_arrays(abs(at[:, None] - r), abs(at - c))
            one[(np.hypot(down, across) if label == 1 else np.maximum(down, across)) < half] = label
    return (70 + 110 * (y > 0) + rng.normal(0, 10, y.shape)).clip(0, 255).astype(np.uint8), y


@pytest.mark.row("VIS-25")
@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_the_loss_by_its_formula(batch, weight):
    x, y = batch
    p = x.softmax(1)
    kept = [(i, r, c) for i in range(4) for r in range(5) for c in range(6) if y[i, r, c] != 255]
    nll = -torch.stack([p[i, y[i, r, c], r, c].log() for i, r, c in kept]).mean()
    dice = []
    for k in range(3):
        both = sum(p[i, k, r, c] for i, r, c in kept if y[i, r, c] == k)
        sizes = sum(p[i, k, r, c] + (y[i, r, c] == k) for i, r, c in kept)
        dice.append((2 * both + 1) / (sizes + 1))
    found = Segmenter(nn.Identity(), dice_weight=weight).loss(batch)
    torch.testing.assert_close(found["loss"], nll + weight * (1 - torch.stack(dice).mean()))
    torch.testing.assert_close(found["nll"], nll)
    assert ("dice" in found) == (weight > 0)
    if weight:
        torch.testing.assert_close(found["dice"], torch.stack(dice).mean())
        assert not found["dice"].requires_grad


@pytest.mark.row("VIS-25")
def test_the_loss_is_the_mean_of_the_pixels_cross_entropy(batch):
    x, y = batch
    expected = F.cross_entropy(x, y, ignore_index=255)
    torch.testing.assert_close(Segmenter(nn.Identity()).loss(batch)["loss"], expected)


@pytest.mark.row("VIS-25")
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_batch_that_is_all_void_has_loss_0(weight):
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = Segmenter(nn.Identity(), dice_weight=weight).loss((x, torch.full((2, 4, 4), 255)))["loss"]
    loss.backward()
    assert loss.item() == 0.0
    assert not x.grad.any()


def test_void_pixels_get_no_gradient(batch):
    x, y = batch
    x.requires_grad_()
    Segmenter(nn.Identity(), dice_weight=1.0).loss((x, y))["loss"].backward()
    assert torch.equal((x.grad != 0).any(1), y != 255)


@pytest.mark.row("VIS-25")
def test_metrics_weighted_by_their_pixels_are_those_of_the_set(batch):
    x, y = batch
    y[3] = 255
    found = Segmenter(nn.Identity()).metrics(batch)
    weight = found["weight"]
    assert weight.tolist() == (y != 255).flatten(1).sum(1).tolist()
    kept = y != 255
    assert float((found["pixel_accuracy"] * weight).sum() / weight.sum()) == pytest.approx(float((x.argmax(1) == y)[kept].double().mean()))
    assert float((found["nll"] * weight).sum() / weight.sum()) == pytest.approx(float(F.cross_entropy(x, y, ignore_index=255)))
    assert found["nll"][3] == found["pixel_accuracy"][3] == 0
    assert Segmenter(nn.Identity()).weight(batch) == kept.sum()


def test_metrics_of_a_nan_are_nan(batch):
    x, y = batch
    y[0, 0, 0] = 1
    x[0, 2, 0, 0] = -1e9
    found = Segmenter(Broken()).metrics(batch)
    assert found["pixel_accuracy"].isnan().tolist() == found["nll"].isnan().tolist() == [True, False, False, False]


def test_another_ignored_label(batch):
    x, y = batch
    renamed = torch.where(y == 255, 7, y)
    for weight in (0.0, 1.0):
        ours = Segmenter(nn.Identity(), dice_weight=weight, ignored=7).loss((x, renamed))["loss"]
        torch.testing.assert_close(ours, Segmenter(nn.Identity(), dice_weight=weight).loss(batch)["loss"])


def test_dice_takes_the_sums_of_the_whole_batch(batch):
    """Parts that are joined have the Dice of one batch, which is not the mean of theirs."""

    class Other:
        """What another part adds: that of the last two images."""

        def sum(self, x):
            return x + sums

        stack = rows = sum

    x, y = batch
    whole = soft_dice(x, y, y != 255)
    p = x[2:].softmax(1) * (y[2:] != 255).unsqueeze(1)
    q = torch.stack([y[2:] == k for k in range(3)], 1)
    sums = torch.stack([(p * q).sum((0, 2, 3)), (p + q).sum((0, 2, 3))])
    with joining(Other()):
        torch.testing.assert_close(soft_dice(x[:2], y[:2], y[:2] != 255), whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_logits_of_16_bits_are_summed_in_32(dtype):
    x, y = torch.zeros(1, 2, 300, 300, dtype=dtype), torch.zeros(1, 300, 300, dtype=torch.long)
    x[:, 0] = 1
    found = soft_dice(x, y, y >= 0)
    assert found.dtype == torch.float32
    p = torch.tensor([1.0, 0.0]).softmax(0)
    torch.testing.assert_close(found, torch.stack([(2 * 90_000 * p[0] + 1) / (90_000 * (1 + p[0]) + 1), 1 / (90_000 * p[1] + 1)]))
    assert pixel_nll(x, y, y >= 0).dtype == torch.float32


@pytest.mark.row("VIS-25")
@pytest.mark.parametrize("sides", [(8, 8), (9, 8), (7, 13), (3, 2)])
def test_images_of_any_sides(sides):
    method = Segmenter(SegmentationUNet(3, widths=(4, 8, 8))).eval()
    x = torch.rand(2, 3, *sides)
    p = method.predict(x)
    assert p.shape == (2, 3, *sides)
    torch.testing.assert_close(p.sum(1), torch.ones(2, *sides))
    padded = F.pad(x, (0, -sides[1] % 4, 0, -sides[0] % 4), mode="replicate")
    torch.testing.assert_close(p, method.net(padded).softmax(1)[..., : sides[0], : sides[1]])


@pytest.mark.parametrize("training", [True, False])
def test_predict_changes_nothing(training):
    method = Segmenter(SegmentationUNet(2, widths=(4, 8))).train(training)
    before = {k: v.clone() for k, v in method.state_dict().items()}
    x = torch.rand(4, 3, 8, 8)
    p = method.predict(x)
    torch.testing.assert_close(p[:1], method.predict(x[:1]))
    assert method.training is training
    assert not p.requires_grad
    assert all(torch.equal(v, before[k]) for k, v in method.state_dict().items())


@pytest.mark.parametrize(("y", "message"), [
    (torch.full((2, 4, 4), 3), r"labels must lie in 0\.\.2 or be 255 \(ignored\), got 3\.\.3"),
    (torch.full((2, 4, 4), -1), r"labels must lie in 0\.\.2 or be 255 \(ignored\), got -1\.\.-1"),
    (torch.zeros(2, 4, 5, dtype=torch.long), r"expected one integer label a pixel, int64 \(2, 4, 4\), got torch\.int64 \(2, 4, 5\)"),
    (torch.zeros(1, 4, 4, dtype=torch.long), r"got torch\.int64 \(1, 4, 4\)"),
    (torch.zeros(2, 4, 4), r"got torch\.float32 \(2, 4, 4\)"),
    (torch.zeros(2, 4, 4, dtype=torch.uint8), r"got torch\.uint8 \(2, 4, 4\)")])
def test_labels_that_name_no_class_are_refused(y, message, annotations_unchecked):
    for refuse in (Segmenter(nn.Identity()).loss, Segmenter(nn.Identity()).metrics):
        with pytest.raises(ValueError, match=message):
            refuse((torch.zeros(2, 3, 4, 4), y))


def test_what_is_no_image_is_refused(annotations_unchecked):
    for x in (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(3, 4, 4)):
        with pytest.raises(ValueError, match=r"expected images \(B, C, H, W\) of real numbers in \[0, 1\]"):
            Segmenter(nn.Identity()).predict(x)
    x = torch.zeros(2, 3, 4, 4)
    x[1, 0, 0, 0] = torch.inf
    with pytest.raises(ValueError, match="expected finite values, got 1 of 96 that are nan or inf"):
        Segmenter(nn.Identity()).predict(x)
    with pytest.raises(ValueError, match="expected a dice_weight of 0 or more, got -1"):
        Segmenter(nn.Identity(), dice_weight=-1)


@pytest.mark.row("VIS-25")
def test_circles_and_squares_are_learned_in_a_moment(workplace, circles_and_squares):
    with options(quiet=True):
        run = recipes.segment(circles_and_squares, width=8, lr=1e-2, ema=0.9, zoom=0.0, light=0.0, flip="both", steps=100)
    assert run.results["mean_iou"] > 0.95
    assert run.results["pixel_accuracy"] > 0.98
    assert run.results["dice"] > 0.95
    lines = (run.folder / "evaluation" / "classes.csv").read_text().splitlines()
    assert lines[0] == "class,iou,dice,share"
    assert [line.split(",")[0] for line in lines[1:]] == ['"0"', '"1"', '"2"']
    assert sum(float(line.split(",")[3]) for line in lines[1:]) == pytest.approx(1, abs=1e-3)
    assert sum(float(line.split(",")[1]) for line in lines[1:]) / 3 == pytest.approx(run.results["mean_iou"], abs=1e-3)
