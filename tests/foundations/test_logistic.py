"""Newton's fit against gradient descent and scikit-learn, a fooled classifier, and data without a minimum."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression

from deepcanon.foundations import logistic


@pytest.fixture
def data():
    torch.manual_seed(0)
    x = torch.randn(200, 4, dtype=torch.float64)
    return x, torch.bernoulli((x @ torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)).sigmoid())


@pytest.mark.row("FND-07")
def test_value_gradient_and_hessian_equal_autograd(data):
    x, y = data
    theta = torch.randn(4, dtype=torch.float64)
    torch.testing.assert_close(logistic.nll(theta, x, y), F.binary_cross_entropy_with_logits(x @ theta, y, reduction="sum"))
    torch.testing.assert_close(logistic.gradient(theta, x, y), torch.func.grad(logistic.nll)(theta, x, y))
    torch.testing.assert_close(logistic.hessian(theta, x), torch.func.hessian(logistic.nll)(theta, x, y))
    torch.testing.assert_close(logistic.probability(theta, x), (x @ theta).exp() / (1 + (x @ theta).exp()))


@pytest.mark.row("FND-07")
def test_descent_and_newton_end_at_one_minimum_from_every_start(data):
    x, y = data
    best = logistic.fit(x, y)
    step = 4 / torch.linalg.eigvalsh(x.T @ x).max()                              # 1 / L, for p (1 - p) <= 1/4
    for _ in range(5):
        start = theta = 3 * torch.randn(4, dtype=torch.float64)
        for _ in range(800):
            theta = theta - step * logistic.gradient(theta, x, y)
        torch.testing.assert_close(theta, best, atol=1e-4, rtol=0)
        torch.testing.assert_close(logistic.fit(x, y, start=10 * start), best, atol=1e-8, rtol=0)
    assert logistic.gradient(best, x, y).abs().max() < 1e-8


@pytest.mark.row("FND-07")
@pytest.mark.parametrize("decay", [0.0, 2.0])
def test_the_fit_equals_scikit_learns(data, decay):
    x, y = data
    theirs = LogisticRegression(C=1 / decay if decay else float("inf"), fit_intercept=False, tol=1e-10, max_iter=1_000).fit(x, y).coef_[0]
    torch.testing.assert_close(logistic.fit(x, y, decay=decay), torch.from_numpy(theirs), atol=1e-5, rtol=0)
    torch.testing.assert_close(logistic.fit(x.float(), y.long(), decay=decay), torch.from_numpy(theirs).float(), atol=1e-4, rtol=0)


@pytest.mark.row("FND-07")
def test_a_step_that_does_not_descend_is_halved():
    """Of a label of each kind at x = 1 the NLL is log(2 + 2 cosh theta); a step ends at theta - sinh theta.

    Above the root of sinh theta = 2 theta that is further from 0, on the other side; half of it ends near 0.
    """
    x, y = torch.ones(2, 1, dtype=torch.float64), torch.tensor([0, 1])
    start = torch.tensor([2.18], dtype=torch.float64)
    assert 2 * start < start.sinh() < 2.01 * start
    assert logistic.fit(x, y, start=start, max_steps=4).abs() < 1e-8
    with pytest.raises(ValueError, match="no minimum within 1 Newton steps"):
        logistic.fit(x, y, start=start, max_steps=1)


@pytest.mark.row("FND-07")
def test_the_fit_with_decay_leaves_the_minimum_without(data):
    """The NLL rises on the way: it is its sum with the penalty that descends."""
    x, y = data
    without = logistic.fit(x, y)
    torch.testing.assert_close(logistic.fit(x, y, start=without, decay=20.0), logistic.fit(x, y, decay=20.0))


@pytest.mark.row("FND-07")
def test_many_small_changes_fool_it():
    x = torch.tensor([2.0, -1, 3, -2, 2, 2, 1, -4, 5, 1])
    theta = torch.tensor([-1.0, -1, 1, -1, 1, -1, 1, 1, -1, 1])
    adversarial = x + 0.5 * theta.sign()
    torch.testing.assert_close(adversarial, torch.tensor([1.5, -1.5, 3.5, -2.5, 2.5, 1.5, 1.5, -3.5, 4.5, 1.5]))
    assert ((adversarial - x) @ theta).item() == 0.5 * theta.abs().sum().item() == 5
    before, after = logistic.probability(theta, torch.stack([x, adversarial])).tolist()
    assert before == pytest.approx(0.047426, abs=1e-6)                           # theta'x = -3
    assert after == pytest.approx(0.880797, abs=1e-6)                            # theta'x = 2


def test_refuses_data_without_a_minimum(data):
    x, y = data
    with pytest.raises(ValueError, match="the Hessian is singular: features are dependent, or"):
        logistic.fit(torch.cat([x, x[:, :2] @ torch.randn(2, 1, dtype=torch.float64)], 1), y)
    with pytest.raises(ValueError, match="a plane separates the classes; set decay > 0"):
        logistic.fit(x, (x[:, 0] > 0).double())
    assert logistic.fit(x, (x[:, 0] > 0).double(), decay=1.0).isfinite().all()


def test_refuses_labels_and_shapes_that_do_not_fit(data, annotations_unchecked):
    x, y = data
    with pytest.raises(ValueError, match=r"labels 0 or 1 \(N,\), got \(200, 4\) and \(200,\) with values \[-1\.0, 1\.0\]"):
        logistic.fit(x, 2 * y - 1)
    with pytest.raises(ValueError, match=r"got \(200, 4\) and \(199,\)"):
        logistic.fit(x, y[:199])


def test_whole_numbers_and_far_starts_have_the_minimum_of_real_numbers_from_zero():
    x = torch.tensor([[1, -2], [1, 0], [1, 1], [1, 3], [1, -1], [1, 2]])
    y = torch.tensor([0, 1, 0, 1, 0, 1])
    right = logistic.fit(x.double(), y)
    assert logistic.fit(x, y).tolist() == pytest.approx(right.tolist(), rel=1e-5)
    assert logistic.fit(x, y).dtype == torch.float32
    assert logistic.fit(x.double(), y, start=torch.tensor([1e4, -1e4])).tolist() == pytest.approx(right.tolist())


def test_features_that_are_not_finite_are_named(annotations_unchecked):
    x = torch.tensor([[1.0, torch.nan], [1.0, 0.0], [1.0, 2.0]])
    with pytest.raises(ValueError, match="expected finite values, got 1 of 6"):
        logistic.fit(x, torch.tensor([0, 1, 0]))
    with pytest.raises(ValueError, match=r"expected a start of shape \(2,\), got \(3,\)"):
        logistic.fit(x[1:], torch.tensor([0, 1]), start=torch.zeros(3))
