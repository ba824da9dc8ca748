"""Counts of classifiers and detectors against worked examples, scikit-learn and counting by hand."""

import pytest
import torch
from sklearn import metrics as reference

from deepcanon.metrics import accuracy, auroc, average_precision, confusion, confusion_matrix, fpr_at_tpr, roc_curve


@pytest.mark.row("MET-01")
def test_always_normal_is_accurate_and_finds_nothing():
    counts = confusion(torch.zeros(100, dtype=torch.bool), torch.arange(100) == 3)
    assert counts == (0, 0, 99, 1)
    assert (counts.accuracy, counts.recall, counts.precision, counts.f1, counts.false_positive_rate) == (0.99, 0, 0, 0, 0)


@pytest.mark.row("MET-01")
def test_the_counts_of_a_table():
    truth = torch.tensor([1, 1, 1, 0, 0, 0, 0, 1, 1]).bool()
    predicted = torch.tensor([1, 1, 0, 1, 0, 0, 0, 1, 0]).bool()
    counts = confusion(predicted, truth)
    assert counts == (3, 1, 3, 2)
    rates = (counts.precision, counts.recall, counts.f1, counts.accuracy, counts.false_positive_rate)
    assert rates == pytest.approx((3 / 4, 3 / 5, 2 / 3, 6 / 9, 1 / 4))


@pytest.mark.row("MET-01")
@pytest.mark.parametrize("seed", range(4))
def test_counts_equal_scikit_learns(seed):
    generator = torch.Generator().manual_seed(seed)
    truth, predicted = torch.randint(5, (2, 80), generator=generator)
    matrix = confusion_matrix(predicted, truth, 5)
    assert matrix.tolist() == reference.confusion_matrix(truth, predicted, labels=range(5)).tolist()
    assert accuracy(predicted, truth) == pytest.approx(reference.accuracy_score(truth, predicted))
    counts = confusion(predicted == 2, truth == 2)
    p, r, f, _ = reference.precision_recall_fscore_support(truth == 2, predicted == 2, average="binary")
    assert (counts.precision, counts.recall, counts.f1) == pytest.approx((p, r, f))


def test_labels_that_are_none_and_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"expected predictions in 0 ... 2, got labels from 0 to 3"):
        confusion_matrix(torch.tensor([0, 3]), torch.tensor([0, 1]), 3)
    with pytest.raises(ValueError, match=r"expected truths in 0 ... 2, got labels from -1 to 1"):
        confusion_matrix(torch.tensor([0, 2]), torch.tensor([-1, 1]), 3)
    for call in (lambda: accuracy(torch.zeros(0).long(), torch.zeros(0).long()), lambda: confusion(torch.zeros(0).bool(), torch.zeros(0).bool())):
        with pytest.raises(ValueError, match="expected one example or more, got none"):
            call()


# scores


def scores(seed, n=200, ties=False):
    generator = torch.Generator().manual_seed(seed)
    positive = torch.rand(n, generator=generator) < 0.3
    score = torch.randn(n, generator=generator) + positive
    return (score.mul(2).round() if ties else score), positive


@pytest.mark.row("MET-02")
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_auroc_is_the_probability_of_a_higher_score_and_ties_count_half(seed, ties):
    score, positive = scores(seed, ties=ties)
    above = score[positive][:, None] - score[~positive][None]
    brute = (above > 0).double().mean() + (above == 0).double().mean() / 2
    assert auroc(score, positive) == pytest.approx(brute.item(), abs=1e-12)
    assert auroc(score, positive) == pytest.approx(reference.roc_auc_score(positive, score), abs=1e-12)
    assert auroc(-score, ~positive) == pytest.approx(brute.item(), abs=1e-12)
    assert average_precision(score, positive) == pytest.approx(reference.average_precision_score(positive, score), abs=1e-12)


@pytest.mark.row("MET-02")
def test_the_curves_equal_scikit_learns():
    score, positive = scores(0, ties=True)
    curve = roc_curve(score, positive)
    fpr, tpr, thresholds = reference.roc_curve(positive, score, drop_intermediate=False)
    for ours, theirs in ((curve.false_positive_rate, fpr[1:]), (curve.true_positive_rate, tpr[1:]), (curve.threshold, thresholds[1:])):
        torch.testing.assert_close(ours, torch.as_tensor(theirs, dtype=torch.float64))
    precision, _, _ = reference.precision_recall_curve(positive, score, drop_intermediate=False)
    torch.testing.assert_close(curve.precision.flip(0), torch.as_tensor(precision[:-1]))


@pytest.mark.row("MET-02")
def test_which_class_is_positive_decides():
    score = torch.tensor([0.9, 0.8, 0.7, 0.2, 0.6, 0.5, 0.4, 0.3])
    inside = torch.arange(8) < 4
    assert auroc(score, inside) == 0.75
    assert fpr_at_tpr(score, inside) == 1.0
    assert fpr_at_tpr(-score, ~inside) == 0.25
    assert fpr_at_tpr(score, inside, tpr=0.75) == 0.0


@pytest.mark.row("MET-02")
def test_perfect_and_constant_scores():
    positive = torch.tensor([True, True, False, False, False])
    assert (auroc(positive.float(), positive), average_precision(positive.float(), positive)) == (1.0, 1.0)
    assert auroc(torch.zeros(5), positive) == 0.5
    assert average_precision(torch.zeros(5), positive) == pytest.approx(0.4)


def test_scores_that_rank_nothing_are_refused():
    with pytest.raises(ValueError, match="expected positive and negative examples, got 3 positive of 3"):
        auroc(torch.rand(3), torch.ones(3).bool())
    with pytest.raises(ValueError, match="expected scores, got 1 of 3 that are nan"):
        auroc(torch.tensor([0.0, torch.nan, 1.0]), torch.tensor([True, False, True]))
    with pytest.raises(ValueError, match=r"expected a true-positive rate in \(0, 1\], got 0"):
        fpr_at_tpr(torch.rand(2), torch.tensor([True, False]), tpr=0.0)
