"""Activations against torch's, and their slopes against autograd."""

import math

import pytest
import torch
import torch.nn.functional as F

from deepcanon.foundations import activations as act

X = torch.cat([torch.linspace(-8, 8, 401, dtype=torch.float64), torch.tensor([-1000.0, 1000.0], dtype=torch.float64)])
PAIRS = {
    "relu": (act.relu, act.relu_slope, F.relu),
    "leaky_relu": (act.leaky_relu, act.leaky_relu_slope, lambda x: F.leaky_relu(x, 0.1)),
    "sigmoid": (act.sigmoid, act.sigmoid_slope, torch.sigmoid),
    "tanh": (act.tanh, act.tanh_slope, torch.tanh),
    "softplus": (act.softplus, act.softplus_slope, lambda x: F.softplus(x, threshold=1e9)),
    "gelu": (act.gelu, act.gelu_slope, F.gelu),
}


@pytest.mark.row("FND-11", "FND-12", "FND-13", "FND-14")
@pytest.mark.parametrize("name", PAIRS)
def test_values_and_gradients_equal_torch_and_the_slope(name):
    f, slope, torchs = PAIRS[name]
    points = X if name != "softplus" else X[:-1]                                 # torch's own overflows at 1000 without its threshold
    ours, theirs = points.clone().requires_grad_(), points.clone().requires_grad_()
    value, expected = f(ours), torchs(theirs)
    torch.testing.assert_close(value, expected, atol=1e-7, rtol=0)
    value.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-7, rtol=0)
    torch.testing.assert_close(ours.grad, slope(points), atol=1e-7, rtol=0)
    assert f(points.float()).dtype == slope(points.float()).dtype == torch.float32


@pytest.mark.row("FND-11", "FND-14")
@pytest.mark.parametrize("name", ["leaky_relu", "softplus"])
def test_a_gradient_passes_without_changing_sign(name):
    f, slope, _ = PAIRS[name]
    x, delta = torch.randn(2, 1_000, dtype=torch.float64)
    x.requires_grad_()
    f(x).backward(delta)
    assert (x.grad.sign() * delta.sign() >= 0).all()
    assert (slope(X) >= 0).all()


@pytest.mark.row("FND-12")
def test_sigmoid_is_steepest_at_zero_and_saturates():
    assert act.sigmoid_slope(torch.zeros(1)).item() == 0.25
    assert act.sigmoid_slope(X).max().item() == pytest.approx(0.25, abs=1e-15)
    assert act.sigmoid(torch.tensor([-1000.0, 1000.0])).tolist() == [0, 1]


@pytest.mark.row("FND-13")
def test_tanh_is_a_sigmoid_centred_on_zero():
    torch.testing.assert_close(act.tanh(X), 2 * torch.sigmoid(2 * X) - 1, atol=1e-7, rtol=0)
    torch.testing.assert_close(act.tanh(-X), -act.tanh(X))
    torch.testing.assert_close(act.sigmoid(-X), 1 - act.sigmoid(X))


@pytest.mark.row("FND-14")
@pytest.mark.parametrize(("name", "bound"), [("softplus", 0.25), ("gelu", math.sqrt(2 / math.pi))])
def test_smooth_activations_have_a_bounded_second_derivative_and_relu_has_not(name, bound):
    def bend(f, h: float) -> float:
        """The finite difference of the gradient across 0."""
        x = torch.tensor([-h, h], dtype=torch.float64, requires_grad=True)
        f(x).sum().backward()
        return ((x.grad[1] - x.grad[0]) / (2 * h)).item()

    for h in (1e-2, 1e-4, 1e-6):
        assert bend(PAIRS[name][0], h) == pytest.approx(bound, rel=1e-3)
        assert bend(act.relu, h) == pytest.approx(1 / (2 * h))


@pytest.mark.parametrize("k", [0.0, 1.0, -0.1])
def test_leaky_relu_refuses_a_slope_outside_0_and_1(k):
    with pytest.raises(ValueError, match="slope 0 < k < 1"):
        act.leaky_relu(torch.zeros(1), k)


def test_the_relu_of_nan_is_nan():
    assert act.relu(torch.tensor([torch.nan])).isnan().all()
    assert act.leaky_relu(torch.tensor([torch.nan])).isnan().all()
