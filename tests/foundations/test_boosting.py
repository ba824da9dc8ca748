"""AdaBoost against scikit-learn's, and its bound; what it does to bias and variance is claim C-047."""

import math

import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from deepcanon.foundations.boosting import AdaBoost, reweighted, stump


def problem(load) -> tuple[torch.Tensor, torch.Tensor]:
    """A data set of scikit-learn; a small tilt breaks ties between features."""
    x, y = (torch.as_tensor(t) for t in load(return_X_y=True))
    return x + 1e-4 * torch.randn(x.shape, dtype=x.dtype), y


def ring(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of the plane, the class is whether they lie outside a circle: no stump can tell."""
    x = torch.randn(n, 2, dtype=torch.float64)
    return x, (x.norm(dim=1) > 1.18).long()


@pytest.mark.row("FND-47")
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_a_stump_is_scikit_learns_tree_of_depth_one(load):
    x, y = problem(load)
    weights = torch.rand(len(y), dtype=torch.float64)
    ours, theirs = stump(x, y, weights), DecisionTreeClassifier(max_depth=1, random_state=0).fit(x, y, sample_weight=weights)
    assert (ours.feature, ours.threshold) == (theirs.tree_.feature[0], pytest.approx(theirs.tree_.threshold[0], rel=1e-6))
    assert torch.equal(ours(x), torch.as_tensor(theirs.predict(x)))


@pytest.mark.row("FND-47")
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_is_scikit_learns_adaboost(load):
    x, y = problem(load)
    theirs = AdaBoostClassifier(DecisionTreeClassifier(max_depth=1, random_state=0), n_estimators=20, random_state=0).fit(x, y)
    ours = AdaBoost(20).fit(x, y)
    torch.testing.assert_close(torch.tensor(ours.errors), torch.as_tensor(theirs.estimator_errors_).float(), atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.tensor(ours.says), torch.as_tensor(theirs.estimator_weights_).float(), atol=1e-4, rtol=0)
    assert torch.equal(ours.predict(x), torch.as_tensor(theirs.predict(x)))


@pytest.mark.row("FND-47")
def test_after_each_reweighting_the_last_stump_guesses():
    x, y = problem(load_breast_cancer)
    boosted, weights = AdaBoost(20).fit(x, y), torch.full((len(y),), 1 / len(y), dtype=torch.float64)
    for learner, error, say in zip(boosted.learners, boosted.errors, boosted.says, strict=True):
        wrong = learner(x) != y
        assert weights[wrong].sum().item() == pytest.approx(error, abs=1e-12)
        weights = reweighted(weights, wrong, say)
        assert weights[wrong].sum().item() == pytest.approx(0.5, abs=1e-12)


@pytest.mark.row("FND-47")
@pytest.mark.parametrize("seed", range(5))
def test_the_training_error_stays_below_its_bound(seed):
    torch.manual_seed(seed)
    x, y = ring(300)
    for rounds in (1, 5, 20, 100):
        boosted = AdaBoost(rounds).fit(x, y)
        assert (boosted.predict(x) != y).double().mean() <= boosted.error_bound()
    assert (boosted.predict(x) == y).double().mean() > 0.97                      # where one stump has
    assert (AdaBoost(1).fit(x, y).predict(x) == y).double().mean() < 0.75


@pytest.mark.row("FND-47")
def test_a_learner_without_error_decides_alone():
    x, y = torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.tensor([0, 0, 1, 1])
    boosted = AdaBoost(10).fit(x, y)
    theirs = AdaBoostClassifier(DecisionTreeClassifier(max_depth=1), n_estimators=10).fit(x, y)
    assert boosted.says == theirs.estimator_weights_[:1].tolist()
    assert boosted.errors == theirs.estimator_errors_[:1].tolist()
    assert (len(boosted.learners), boosted.error_bound()) == (1, 0.0)
    assert torch.equal(boosted.predict(x), y)


def test_the_bound_of_a_learner_that_errs_by_a_third():
    boosted = AdaBoost(1).fit(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([0, 1, 0]))
    assert boosted.error_bound() == pytest.approx(2 * math.sqrt(2) / 3)


@pytest.mark.parametrize(("build", "message"), [
    (lambda: AdaBoost(0), "one round or more, got 0"),
    (lambda: AdaBoost().fit(torch.rand(5, 2), torch.zeros(5, dtype=torch.int64)), "two classes or more, got 5 of the class 0"),
    (lambda: AdaBoost().fit(torch.ones(4, 2), torch.tensor([0, 1, 0, 1])), "no better than guessing"),
    (lambda: AdaBoost(2).fit(torch.tensor([[0.0], [1.0], [2.0]]), torch.arange(3)).error_bound(), "for two classes, not for 3"),
])
def test_refuses_what_cannot_be_boosted(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_labels_that_do_not_begin_at_zero_are_as_many_classes_as_there_are(annotations_unchecked):
    x, y = torch.randn(40, 2), torch.arange(40) % 2
    x[:, 0] += y
    boosted, shifted = AdaBoost(5).fit(x, y), AdaBoost(5).fit(x, 3 * y + 1)
    assert shifted.num_classes == 2
    assert shifted.says == boosted.says
    assert torch.equal(shifted.predict(x), 3 * boosted.predict(x) + 1)
    with pytest.raises(ValueError, match=r"expected x \(N, D\) and labels \(N,\), got \(40, 2\) and \(41,\)"):
        AdaBoost(5).fit(x, torch.arange(41) % 2)
