"""Numbers, labels and tables that the foundations are given."""

import math
from inspect import unwrap

import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from deepcanon.foundations import activations, logistic
from deepcanon.foundations.bagging import Bagging
from deepcanon.foundations.bayes import GaussianClassifier
from deepcanon.foundations.boosting import AdaBoost
from deepcanon.foundations.information import jsd
from deepcanon.foundations.losses import binary_cross_entropy, cross_entropy
from deepcanon.foundations.pca import PCA


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_tables_whose_columns_differ_in_scale_are_fitted_in_float32(load):
    x, y = (torch.tensor(part) for part in load(return_X_y=True))
    ours = GaussianClassifier.fit(x.float(), y).predict(x.float())
    theirs = LinearDiscriminantAnalysis().fit(x, y).predict(x.numpy())
    assert (ours.argmax(1).numpy() == theirs).mean() > 0.99


def test_examples_that_are_not_finite_or_of_another_width_are_refused():
    x, y = torch.randn(20, 2), torch.arange(20) % 2
    bad = x.clone()
    bad[3, 1] = torch.nan
    with pytest.raises(ValueError, match="expected finite values, got 1 of 40"):
        GaussianClassifier.fit(bad, y)
    with pytest.raises(ValueError, match=r"expected 2 channels along axis 1, got shape \(20, 1\)"):
        GaussianClassifier.fit(x, y).predict(x[:, :1])


def test_losses_of_large_logits_keep_their_digits_in_float32():
    right = math.log1p(math.exp(-20))                                    # 2.06e-9
    logits = torch.tensor([[20.0, 0.0], [100.0, 120.0], [0.0, 20.0]])
    found = cross_entropy(logits, torch.tensor([0, 1, 0])).tolist()
    assert found == pytest.approx([right, right, 20 + right], rel=1e-6)
    found = binary_cross_entropy(torch.tensor([20.0, -20.0, 20.0]), torch.tensor([1.0, 0.0, 0.0])).tolist()
    assert found == pytest.approx([right, right, 20 + right], rel=1e-6)


def test_one_class_costs_nothing_and_an_impossible_one_everything():
    logits = torch.zeros(2, 1, requires_grad=True)
    loss = cross_entropy(logits, torch.tensor([0, 0]))
    loss.sum().backward()
    assert loss.tolist() == [0, 0]
    assert logits.grad.tolist() == [[0], [0]]
    assert cross_entropy(torch.tensor([[0.0, -math.inf]]), torch.tensor([1])).tolist() == [math.inf]


def test_the_distance_of_almost_equal_distributions_is_a_number():
    p = torch.rand(2_000, 5)
    p = p / p.sum(1, keepdim=True)
    q = p * (1 + 1e-6 * torch.randn_like(p))
    q = q / q.sum(1, keepdim=True)
    assert jsd(p, q).sqrt().isfinite().all()
    assert jsd(p, q).sqrt().max() < 1e-3


def test_whole_numbers_and_far_starts_have_the_minimum_of_real_numbers_from_zero():
    x = torch.tensor([[1, -2], [1, 0], [1, 1], [1, 3], [1, -1], [1, 2]])
    y = torch.tensor([0, 1, 0, 1, 0, 1])
    right = logistic.fit(x.double(), y)
    assert logistic.fit(x, y).tolist() == pytest.approx(right.tolist(), rel=1e-5)
    assert logistic.fit(x, y).dtype == torch.float32
    assert logistic.fit(x.double(), y, start=torch.tensor([1e4, -1e4])).tolist() == pytest.approx(right.tolist())


def test_features_that_are_not_finite_are_named():
    x = torch.tensor([[1.0, torch.nan], [1.0, 0.0], [1.0, 2.0]])
    with pytest.raises(ValueError, match="expected finite values, got 1 of 6"):
        logistic.fit(x, torch.tensor([0, 1, 0]))
    with pytest.raises(ValueError, match=r"expected a start of shape \(2,\), got \(3,\)"):
        unwrap(logistic.fit)(x[1:], torch.tensor([0, 1]), start=torch.zeros(3))


def test_the_relu_of_nan_is_nan():
    assert activations.relu(torch.tensor([torch.nan])).isnan().all()
    assert activations.leaky_relu(torch.tensor([torch.nan])).isnan().all()


def test_labels_that_do_not_begin_at_zero_are_as_many_classes_as_there_are():
    x, y = torch.randn(40, 2), torch.arange(40) % 2
    x[:, 0] += y
    boosted, shifted = AdaBoost(5).fit(x, y), AdaBoost(5).fit(x, 3 * y + 1)
    assert shifted.num_classes == 2
    assert shifted.says == boosted.says
    assert torch.equal(shifted.predict(x), 3 * boosted.predict(x) + 1)
    with pytest.raises(ValueError, match=r"expected x \(N, D\) and labels \(N,\), got \(40, 2\) and \(41,\)"):
        unwrap(AdaBoost.fit)(AdaBoost(5), x, torch.arange(41) % 2)


def test_targets_of_another_number_than_the_examples_are_refused():
    with pytest.raises(ValueError, match="expected as many targets as examples, got 4 examples and 5 targets"):
        unwrap(Bagging.fit)(Bagging(lambda x, y: lambda x: y), torch.zeros(4, 1), torch.zeros(5))


def test_data_of_another_width_are_refused_and_not_broadcast():
    pca = PCA.fit(torch.randn(10, 3), 2)
    with pytest.raises(ValueError, match=r"expected 3 channels along axis 1, got shape \(5, 1\)"):
        pca.encode(torch.zeros(5, 1))
    with pytest.raises(ValueError, match="expected finite values"):
        PCA.fit(torch.full((4, 2), torch.nan), 1)
