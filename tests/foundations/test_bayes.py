"""Bayes' rule on Gaussian classes against the linear discriminant, scikit-learn, and a fitted logistic regression."""

import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from deepcanon.foundations import logistic
from deepcanon.foundations.bayes import GaussianClassifier


@pytest.fixture
def truth():
    return GaussianClassifier(*(torch.tensor(v, dtype=torch.float64) for v in ([0.3, 0.7], [[1.0, 0.0], [-0.5, 1.0]], [[1.0, 0.4], [0.4, 0.8]])))


def draw(truth: GaussianClassifier, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.multinomial(truth.prior, n, replacement=True)
    return truth.sample(y), y


@pytest.mark.row("FND-09")
def test_the_posterior_is_the_sigmoid_of_the_exact_logit(truth):
    x = 3 * torch.randn(50, 2, dtype=torch.float64)
    precision, (a, b) = torch.linalg.inv(truth.covariance), truth.mean
    logit = x @ precision @ (b - a) - (b @ precision @ b - a @ precision @ a) / 2 + (truth.prior[1] / truth.prior[0]).log()
    torch.testing.assert_close(truth.predict(x)[:, 1], logit.sigmoid(), atol=1e-8, rtol=0)
    torch.testing.assert_close(truth.scores(x).softmax(1), truth.predict(x), atol=1e-8, rtol=0)
    likelihood = [torch.distributions.MultivariateNormal(mean, truth.covariance).log_prob(x).exp() for mean in truth.mean]
    joint = torch.stack(likelihood, 1) * truth.prior
    torch.testing.assert_close(truth.predict(x), joint / joint.sum(1, keepdim=True))
    torch.testing.assert_close(truth.log_prob(x).exp(), joint.sum(1))


@pytest.mark.row("FND-09")
def test_a_fitted_logistic_regression_agrees_ever_better(truth):
    grid = torch.cartesian_prod(*2 * [torch.linspace(-2, 2, 9, dtype=torch.float64)])
    gaps = []
    for n in (100, 1_000, 10_000, 100_000):
        x, y = draw(truth, n)
        theta = logistic.fit(torch.cat([x, x.new_ones(n, 1)], 1), y)
        gaps.append((logistic.probability(theta, torch.cat([grid, grid.new_ones(81, 1)], 1)) - truth.predict(grid)[:, 1]).abs().mean().item())
    assert gaps[-1] < 0.01
    assert gaps[-1] < gaps[1] / 3                                                # 1 / sqrt(100) if it were all chance


@pytest.mark.row("FND-09")
def test_the_fit_equals_scikit_learns_and_approaches_the_truth(truth):
    x, y = draw(truth, 5_000)
    ours, theirs = GaussianClassifier.fit(x, y), LinearDiscriminantAnalysis(solver="lsqr", store_covariance=True).fit(x, y)
    torch.testing.assert_close(ours.covariance, torch.from_numpy(theirs.covariance_))
    torch.testing.assert_close(ours.predict(x), torch.from_numpy(theirs.predict_proba(x)))
    for name in ("prior", "mean", "covariance"):
        torch.testing.assert_close(getattr(ours, name), getattr(truth, name), atol=0.1, rtol=0)
    torch.testing.assert_close(ours.prior, y.bincount() / 5_000.0, check_dtype=False)
    for unit in (1e-6, 1e6):                                                     # of x
        torch.testing.assert_close(GaussianClassifier.fit(unit * x, y).predict(unit * x), ours.predict(x))


@pytest.mark.row("FND-09")
def test_it_draws_what_a_class_looks_like(truth):
    x = truth.sample(torch.ones(20_000, dtype=torch.long))
    torch.testing.assert_close(x.mean(0), truth.mean[1], atol=4 / 20_000**0.5, rtol=0)
    torch.testing.assert_close(x.T.cov(), truth.covariance, atol=0.05, rtol=0)


def test_refuses_what_is_no_distribution(truth):
    eye, mean = torch.eye(2), torch.zeros(2, 2)
    with pytest.raises(ValueError, match="sum to 1, got"):
        GaussianClassifier(torch.tensor([0.5, 0.6]), mean, eye)
    with pytest.raises(ValueError, match="direction without positive variance"):
        GaussianClassifier(torch.tensor([0.5, 0.5]), mean, torch.ones(2, 2))
    with pytest.raises(ValueError, match="direction without positive variance"):
        GaussianClassifier(torch.tensor([0.5, 0.5]), mean, -eye)


def test_refuses_data_that_do_not_determine_it(annotations_unchecked):
    x = torch.randn(8, 2)
    with pytest.raises(ValueError, match=r"class 1 of 0\.\.2 has no example"):
        GaussianClassifier.fit(x, torch.tensor([0, 0, 2, 2, 0, 0, 2, 2]))
    with pytest.raises(ValueError, match=r"labels 0\.\.K-1 \(N,\), got \(8, 2\) and \(7,\)"):
        GaussianClassifier.fit(x, torch.zeros(7, dtype=torch.long))
    with pytest.raises(ValueError, match="a feature is constant or follows from others"):
        GaussianClassifier.fit(torch.cat([x, x.sum(1, keepdim=True)], 1).double(), torch.arange(8) % 2)
    with pytest.raises(ValueError, match=r"expected means \(2, 2\), got \(3, 2\)"):
        GaussianClassifier(torch.tensor([0.5, 0.5]), torch.zeros(3, 2), torch.eye(2))


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
