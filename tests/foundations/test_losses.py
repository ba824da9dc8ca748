"""Losses against torch's, their gradients against the closed forms, and what they refuse."""

import math

import pytest
import torch
import torch.nn.functional as F

from deepcanon.foundations.losses import binary_cross_entropy, cross_entropy, squared_error

EXTREME = torch.tensor([[1000.0, -1000.0, 0.0], [-1000.0, -1000.0, 1000.0], [0.0, 0.0, 0.0]], dtype=torch.float64)


@pytest.mark.row("FND-04")
def test_they_equal_torch():
    a, b = torch.randn(2, 50, 4, dtype=torch.float64)
    y, t = torch.randint(4, (50,)), torch.rand(50, 4, dtype=torch.float64)
    torch.testing.assert_close(squared_error(a, b).mean(), F.mse_loss(a, b), atol=1e-6, rtol=0)
    torch.testing.assert_close(cross_entropy(a, y), F.cross_entropy(a, y, reduction="none"), atol=1e-6, rtol=0)
    torch.testing.assert_close(binary_cross_entropy(a, t), F.binary_cross_entropy_with_logits(a, t, reduction="none"), atol=1e-6, rtol=0)


@pytest.mark.row("FND-04")
def test_extreme_logits_give_torchs_values_and_gradients():
    y, hard = torch.tensor([1, 2, 0]), torch.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], dtype=torch.float64)
    for ours, torchs in (
        (lambda logits: cross_entropy(logits, y), lambda logits: F.cross_entropy(logits, y, reduction="none")),
        (lambda logits: binary_cross_entropy(logits, hard), lambda logits: F.binary_cross_entropy_with_logits(logits, hard, reduction="none")),
    ):
        logits, same = EXTREME.clone().requires_grad_(), EXTREME.clone().requires_grad_()
        value, expected = ours(logits), torchs(same)
        torch.testing.assert_close(value, expected, atol=1e-6, rtol=0)
        value.sum().backward()
        expected.sum().backward()
        torch.testing.assert_close(logits.grad, same.grad, atol=1e-6, rtol=0)
        assert logits.grad.isfinite().all()


@pytest.mark.row("FND-04")
def test_gradients_are_prediction_minus_target():
    logits = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    y, t = torch.randint(4, (6,)), torch.rand(6, 4, dtype=torch.float64)
    (of_softmax,) = torch.autograd.grad(cross_entropy(logits, y).sum(), logits)
    torch.testing.assert_close(of_softmax, logits.softmax(1) - F.one_hot(y, 4))
    (of_sigmoid,) = torch.autograd.grad(binary_cross_entropy(logits, t).sum(), logits)
    torch.testing.assert_close(of_sigmoid, logits.sigmoid() - t)
    (of_square,) = torch.autograd.grad(squared_error(logits, t).sum(), logits)
    torch.testing.assert_close(of_square, 2 * (logits - t))


@pytest.mark.row("FND-04")
def test_two_classes_are_the_binary_case():
    logits, y = torch.randn(9, dtype=torch.float64), torch.randint(2, (9,))
    torch.testing.assert_close(cross_entropy(torch.stack([torch.zeros_like(logits), logits], 1), y), binary_cross_entropy(logits, y.double()))


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 1, 3], r"labels must lie in 0\.\.2, got 0\.\.3"), ([0, -1, 1], r"in 0\.\.2, got -1\.\.1"), ([0, 1], r"got \(3, 3\) and torch.int64 \(2,\)"),
     ([0.0, 1.0, 2.0], r"integer labels \(B,\), got \(3, 3\) and torch.float32")],
)
def test_refuses_labels_that_name_no_class(labels, message, annotations_unchecked):
    with pytest.raises(ValueError, match=message):
        cross_entropy(torch.zeros(3, 3), torch.tensor(labels))


def test_refuses_targets_that_do_not_fit(annotations_unchecked):
    with pytest.raises(ValueError, match=r"one shape, got \(3, 1\) and \(3,\)"):
        squared_error(torch.zeros(3, 1), torch.zeros(3))
    with pytest.raises(ValueError, match=r"one shape, got \(3, 1\) and \(3,\)"):
        binary_cross_entropy(torch.zeros(3, 1), torch.zeros(3))
    with pytest.raises(ValueError, match=r"targets must lie in \[0, 1\], got -1\.\.2"):
        binary_cross_entropy(torch.zeros(2), torch.tensor([-1.0, 2.0]))


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
