"""The inception score and the modes found against closed forms and torchmetrics."""

import math

import pytest
import torch
from scipy.stats import entropy
from torch import nn
from torchmetrics.image.inception import InceptionScore

from deepcanon.metrics.classes import inception_score, mode_coverage


@pytest.mark.row("MET-09")
def test_one_answer_to_everything_scores_one():
    assert inception_score(torch.randn(1, 7).expand(50, 7)).item() == pytest.approx(1, abs=1e-6)


@pytest.mark.row("MET-09")
@pytest.mark.parametrize("classes", [2, 7])
def test_sure_and_balanced_answers_score_the_number_of_classes(classes):
    logits = 1_000 * torch.eye(classes).repeat(5, 1)
    assert inception_score(logits).item() == pytest.approx(classes, rel=1e-9)


@pytest.mark.row("MET-09")
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_it_lies_between_one_and_the_number_of_classes(scale):
    assert 1 < inception_score(scale * torch.randn(200, 7)).item() < 7


@pytest.mark.row("MET-09")
def test_it_equals_torchmetrics():
    logits = 2 * torch.randn(300, 10)
    with pytest.warns(UserWarning, match="large memory footprint"):
        reference = InceptionScore(feature=nn.Identity(), splits=1)
    reference.update(logits)
    with pytest.warns(UserWarning, match="degrees of freedom"):                  # the deviation over one split
        expected, _ = reference.compute()
    assert inception_score(logits).item() == pytest.approx(expected.item(), rel=1e-5)


def test_modes_found_and_how_far_their_shares_are():
    labels = torch.tensor([0] * 6 + [2] * 2)
    modes = mode_coverage(labels, torch.full((4,), 0.25))
    assert modes.found.item() == 2
    assert modes.divergence.item() == pytest.approx(0.75 * math.log(3) + 0.25 * math.log(1))
    balanced = mode_coverage(torch.arange(8) % 4, torch.full((4,), 0.25))
    assert (balanced.found.item(), balanced.divergence.item()) == (4, pytest.approx(0, abs=1e-7))


def test_the_divergence_equals_scipys():
    labels, reference = torch.randint(7, (50,)), torch.rand(9, dtype=torch.float64).softmax(0)
    expected = entropy(labels.bincount(minlength=9).numpy(), reference.numpy())
    assert mode_coverage(labels, reference).divergence.item() == pytest.approx(expected, rel=1e-6)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"logits \(N, K\) of one image or more, got \(0, 3\)"):
        inception_score(torch.zeros(0, 3))
    with pytest.raises(ValueError, match="positive shares that sum to 1"):
        mode_coverage(torch.tensor([0, 1]), torch.tensor([1.0, 0.0]))
    for labels in ([0, 2], [-1, 0]):
        with pytest.raises(ValueError, match=r"expected one label in 0..1 for each example"):
            mode_coverage(torch.tensor(labels), torch.full((2,), 0.5))


def test_the_score_of_certain_classes_is_their_number():
    logits = torch.full((6, 3), -torch.inf)
    logits[torch.arange(6), torch.arange(6) % 3] = 0
    assert inception_score(logits).item() == pytest.approx(3)
