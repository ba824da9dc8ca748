"""Bagging: what a bootstrap sample holds, and scikit-learn's form of it; bias and variance are claim C-047."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import BaggingClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from deepcanon.data import arrays
from deepcanon.foundations.bagging import Bagging, bootstrap


def tree(**options):
    """A learner: scikit-learn's decision tree for labels or, of floats, for values."""

    def learn(x, y):
        kind = DecisionTreeRegressor if y.is_floating_point() else DecisionTreeClassifier
        fitted = kind(random_state=0, **options).fit(x, y)
        return lambda x: torch.as_tensor(fitted.predict(x))

    return learn


@pytest.mark.row("FND-46")
def test_a_bootstrap_sample_keeps_63_percent():
    kept = torch.tensor([len(bootstrap(1_000).unique()) / 1_000 for _ in range(200)])
    error = 4 * kept.std().item() / math.sqrt(200)
    assert kept.mean().item() == pytest.approx(1 - (1 - 1 / 1_000) ** 1_000, abs=error)
    assert kept.mean().item() == pytest.approx(1 - 1 / math.e, abs=0.003)


@pytest.mark.row("FND-46")
def test_is_as_good_as_scikit_learns():
    x, y = (torch.as_tensor(t) for t in load_breast_cancer(return_X_y=True))
    order = torch.randperm(len(y))
    train, test = order[:400], order[400:]
    reference = BaggingClassifier(DecisionTreeClassifier(random_state=0), 25, random_state=0).fit(x[train], y[train])
    ours = Bagging(tree(), 25, generator=torch.Generator().manual_seed(0)).fit(x[train], y[train])
    accuracy = (ours.vote(x[test]) == y[test]).double().mean().item()
    single = (tree()(x[train], y[train])(x[test]) == y[test]).double().mean().item()
    assert accuracy == pytest.approx(reference.score(x[test], y[test]), abs=0.03)
    assert accuracy >= single


@pytest.mark.row("FND-46")
def test_votes_and_averages_as_scikit_learn_does():
    x, y = (torch.as_tensor(t) for t in load_breast_cancer(return_X_y=True))
    reference = BaggingClassifier(DecisionTreeClassifier(), 11, random_state=0).fit(x[::2], y[::2])
    ours = Bagging(tree(), 11)
    ours.members = [lambda x, each=each: torch.as_tensor(each.predict(x).astype(int)) for each in reference.estimators_]
    assert np.array_equal(ours.vote(x), reference.predict(x))                   # whole trees are sure: averaging them is voting
    np.testing.assert_allclose(ours.mean(x), reference.predict_proba(x)[:, 1])


@pytest.mark.row("FND-46")
def test_data_of_the_engine_give_each_member_its_sample():
    x, y = torch.arange(50.0)[:, None], torch.arange(50)
    rows = bootstrap(50, torch.Generator().manual_seed(1))
    sample = torch.cat([labels for _, labels in arrays(x, y, batch=10, shuffle=False).take(rows)])
    assert torch.equal(sample, rows)


@pytest.mark.parametrize(("build", "message"), [
    (lambda: bootstrap(0), "one example or more"),
    (lambda: Bagging(tree(), 0), "one member or more, got 0"),
])
def test_refuses_a_bag_of_nothing(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_targets_of_another_number_than_the_examples_are_refused(annotations_unchecked):
    with pytest.raises(ValueError, match="expected as many targets as examples, got 4 examples and 5 targets"):
        Bagging(lambda x, y: lambda x: y).fit(torch.zeros(4, 1), torch.zeros(5))
