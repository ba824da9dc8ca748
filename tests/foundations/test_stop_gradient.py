"""The operator by value and by gradient."""

import pytest
import torch

from deepcanon.foundations.surrogate_gradients import stop_gradient, straight_through


@pytest.mark.row("FND-56")
def test_the_value_stays_and_the_gradient_is_zero():
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    assert torch.equal(stop_gradient(x), x)
    (x * 0 + stop_gradient(x).square()).sum().backward()
    assert torch.equal(x.grad, torch.zeros(5, dtype=torch.float64))


@pytest.mark.row("FND-56")
def test_a_target_is_held_still():
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    (2 * x - stop_gradient(x)).square().sum().backward()                         # 2 (2 x - x) 2, as if the target were a number
    torch.testing.assert_close(x.grad, 4 * x.detach())


@pytest.mark.row("FND-56")
def test_straight_through_has_the_value_of_q_and_the_gradient_of_z():
    z, q = torch.randn(2, 5, dtype=torch.float64)
    z.requires_grad_()
    q.requires_grad_()
    out = straight_through(z, q)
    torch.testing.assert_close(out, q)
    dz, dq = torch.autograd.grad(out.sum(), (z, q), allow_unused=True)
    assert torch.equal(dz, torch.ones(5, dtype=torch.float64))
    assert dq is None


def test_refuses_two_shapes(annotations_unchecked):
    with pytest.raises(ValueError, match=r"one shape, got \(3, 1\) and \(3,\)"):
        straight_through(torch.zeros(3, 1), torch.zeros(3))
