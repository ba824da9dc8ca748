"""MAML against quadratic tasks, whose meta-gradient is known, finite differences, and tasks that it makes easy."""

import copy
import itertools
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepcanon.data import Sinusoids
from deepcanon.engine import Adam, cosine, fit, options
from deepcanon.meta.maml import MAML
from deepcanon.nets.conv4 import Conv4
from deepcanon.nets.perceptron import mlp

T, K, Q, D, ALPHA = 3, 6, 8, 4, 0.3


def half_square(outputs: Tensor, y: Tensor) -> Tensor:
    return 0.5 * F.mse_loss(outputs, y)


def rows(dtype=torch.float64) -> tuple[Tensor, ...]:
    """Regression tasks: support x and y, query x and y."""
    return torch.randn(T, K, D, dtype=dtype), torch.randn(T, K, 1, dtype=dtype), torch.randn(T, Q, D, dtype=dtype), torch.randn(T, Q, 1, dtype=dtype)


def linear(**how) -> MAML:
    """theta of D numbers; L = |X theta - y|^2 / 2 n is quadratic with Hessian X'X / n."""
    net = nn.Linear(D, 1, bias=False).double()
    return MAML(net, inner_lr=ALPHA, error=half_square, **how)


def meta_gradient(method: MAML, tasks) -> dict[str, Tensor]:
    method.zero_grad()
    method.loss(tasks).backward()
    return {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}


def closed_form(theta: Tensor, tasks, steps: int, second_order: bool) -> Tensor:
    """Mean over tasks of (I - alpha H)^n g(theta_n)."""
    total = torch.zeros_like(theta)
    for xs, ys, xq, yq in zip(*tasks):
        hessian, adapted = xs.T @ xs / K, theta
        for _ in range(steps):
            adapted = adapted - ALPHA * (hessian @ adapted - xs.T @ ys[:, 0] / K)
        outer = xq.T @ (xq @ adapted - yq[:, 0]) / Q
        total += torch.linalg.matrix_power(torch.eye(D).double() - ALPHA * hessian, steps if second_order else 0) @ outer
    return total / T


@pytest.mark.row("MGL-06")
@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_meta_gradient_of_quadratic_tasks_is_in_closed_form(steps, first_order, vectorized):
    method, tasks = linear(steps=steps, first_order=first_order, vectorized=vectorized), rows()
    theta = method.net.weight.detach()[0]
    found = meta_gradient(method, tasks)["net.weight"][0]
    torch.testing.assert_close(found, closed_form(theta, tasks, steps, not first_order), atol=1e-12, rtol=0)
    assert not torch.allclose(found, closed_form(theta, tasks, steps, first_order), atol=1e-3)


def perceptron(**how) -> MAML:
    """A net with curvature, in double precision."""
    return MAML(mlp(D, 5, 1, activation=nn.Tanh).double(), inner_lr=ALPHA, error=half_square, **how)


@pytest.mark.row("MGL-06")
@pytest.mark.parametrize("head_alone", [False, True])
def test_the_meta_gradient_equals_finite_differences(head_alone):
    body, head = mlp(D, 5, 5, activation=nn.Tanh).double(), nn.Linear(5, 1).double()
    method = MAML(head, body=body, inner_lr=ALPHA, error=half_square, steps=2) if head_alone else perceptron(steps=2)
    tasks, eps = rows(), 1e-6
    for name, slope in meta_gradient(method, tasks).items():
        p, direction = method.get_parameter(name), torch.randn_like(slope)
        values = []
        for sign in (1, -2):
            with torch.no_grad():
                p.add_(sign * eps * direction)
            values.append(method.loss(tasks).item())
        with torch.no_grad():
            p.add_(eps * direction)
        assert (values[0] - values[1]) / (2 * eps) == pytest.approx((slope * direction).sum().item(), rel=1e-5, abs=1e-8), name


@pytest.mark.row("MGL-06")
def test_first_order_equals_second_order_where_nothing_curves():
    """An error that is linear in the outputs of a linear net has no Hessian."""
    tasks = rows()
    first, second = (MAML(nn.Linear(D, 1).double(), error=lambda f, y: (f * y).mean(), first_order=o, steps=2) for o in (True, False))
    first.load_state_dict(second.state_dict())
    for a, b in zip(meta_gradient(first, tasks).values(), meta_gradient(second, tasks).values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)
    first, second = perceptron(first_order=True), perceptron()
    first.load_state_dict(second.state_dict())
    slopes = zip(meta_gradient(first, tasks).values(), meta_gradient(second, tasks).values())
    assert not all(torch.allclose(a, b, atol=1e-3) for a, b in slopes)


@pytest.mark.row("MGL-01")
@pytest.mark.parametrize("vectorized", [False, True])
def test_the_test_has_steps_and_a_rate_of_its_own(vectorized):
    """theta_n - theta* = (I - alpha H)^n (theta - theta*) for the support set's optimum theta*, with the test's n and alpha."""
    method, (xs, ys, xq, _) = linear(test_steps=7, test_lr=ALPHA / 2, vectorized=vectorized), rows()
    hessian, theta = xs[0].T @ xs[0] / K, method.net.weight.detach()[0]
    optimum = torch.linalg.solve(hessian, xs[0].T @ ys[0][:, 0] / K)
    adapted = optimum + torch.linalg.matrix_power(torch.eye(D).double() - ALPHA / 2 * hessian, 7) @ (theta - optimum)
    torch.testing.assert_close(method.predict(xs[0], ys[0], xq[0])[:, 0], xq[0] @ adapted, atol=1e-9, rtol=0)


@pytest.mark.row("MGL-06")
def test_anil_adapts_the_head_alone():
    """It equals MAML whose inner rate is zero but for the head, and its body learns from both passes."""
    net = nn.Sequential(nn.Linear(D, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    method, (xs, ys, xq, _) = MAML(net[2], body=net[:2], inner_lr=ALPHA, error=half_square, steps=3), rows()
    adapted = method.adapt(xs[0], ys[0], 3, method.inner_lr)
    assert set(adapted) == {"weight", "bias"}
    by_hand = copy.deepcopy(net)
    optimizer = torch.optim.SGD(by_hand[2].parameters(), lr=ALPHA)
    for _ in range(3):
        optimizer.zero_grad()
        half_square(by_hand(xs[0]), ys[0]).backward()
        optimizer.step()
    torch.testing.assert_close(method.predict(xs[0], ys[0], xq[0]), by_hand(xq[0]).detach(), atol=1e-12, rtol=0)
    assert all(slope.abs().sum() > 0 for slope in meta_gradient(method, rows()).values())
    assert {name.partition(".")[0] for name, _ in method.named_parameters()} == {"net", "body"}


def test_all_tasks_at_once_or_one_by_one_is_the_same():
    images = torch.rand(2, 5, 1, 16, 16), torch.arange(5).repeat(2, 1), torch.rand(2, 10, 1, 16, 16), torch.arange(10).repeat(2, 1) % 5
    one_by_one = MAML(Conv4(width=4), steps=2, test_steps=3).double()
    at_once = MAML(Conv4(width=4), steps=2, test_steps=3, vectorized=True).double()
    at_once.load_state_dict(one_by_one.state_dict())
    images = tuple(t.double() if t.is_floating_point() else t for t in images)
    torch.testing.assert_close(at_once.loss(images), one_by_one.loss(images), atol=1e-10, rtol=0)
    for a, b in zip(meta_gradient(at_once, images).values(), meta_gradient(one_by_one, images).values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)
    found = at_once.metrics(images), one_by_one.metrics(images)
    assert found[0].keys() == found[1].keys() == {"error", "accuracy"}
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], atol=1e-10, rtol=0)


def test_prediction_leaves_the_method_as_it_is():
    method, (xs, ys, xq, yq) = perceptron(test_steps=4), rows()
    before = copy.deepcopy(method.state_dict())
    outputs = method.predict(xs[0], ys[0], xq[0])
    assert outputs.shape == (Q, 1)
    assert not outputs.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    with torch.no_grad():
        assert method.metrics((xs, ys, xq, yq))["error"][0] == half_square(outputs, yq[0])


def test_batch_statistics_are_those_of_the_images_at_hand():
    net, x = Conv4(3, width=4).eval(), torch.rand(6, 1, 20, 20)
    assert not list(net.buffers())
    assert not torch.allclose(net(x)[:3], net(x[:3]))
    torch.testing.assert_close(net(x), net(4 * x), atol=1e-3, rtol=0)                # the first normalisation forgets the contrast
    assert sum(p.numel() for p in Conv4(5).parameters()) == 576 + 3 * 36_864 + 4 * 128 + 325
    assert Conv4(strided=True).features(torch.rand(2, 1, 28, 28)).shape == Conv4().features(torch.rand(2, 1, 28, 28)).shape == (2, 64)
    assert len(list(Conv4(running_statistics=True).buffers())) == 12
    for strided, size in itertools.product((False, True), (28, 40)):
        assert Conv4(width=8, strided=strided, size=size)(torch.rand(2, 1, size, size)).shape == (2, 5)
    assert Conv4(strided=True, size=28).head.in_features == 64 * 2**2


@pytest.fixture(scope="module")
def sine_learner():
    """Meta-trained on sines for some seconds."""
    torch.manual_seed(0)
    method = MAML(mlp(1, 40, 40, 1), error=F.mse_loss, inner_lr=0.01, vectorized=True)
    untrained = copy.deepcopy(method)
    with options(quiet=True):
        fit(method, Sinusoids(), Adam(5e-3, schedule=cosine()), steps=400)
    return method, untrained


def error(method: MAML, tasks) -> float:
    with torch.no_grad():
        return method.metrics(tasks)["error"].mean().item()


def from_scratch(xs: Tensor, ys: Tensor, xq: Tensor, yq: Tensor) -> Tensor:
    """The error on the queries of a new net trained on one task's support."""
    net = mlp(1, 40, 40, 1)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        F.mse_loss(net(xs), ys).backward()
        optimizer.step()
    return F.mse_loss(net(xq), yq).detach()


@pytest.mark.row("MGL-01", "MGL-06")
def test_one_step_after_meta_training_beats_one_from_random_weights(sine_learner):
    method, untrained = sine_learner
    tasks = Sinusoids(tasks=100, queries=50, seed=1).at(0)
    assert error(method, tasks) < 0.6 * error(untrained, tasks)


@pytest.mark.row("MGL-01")
def test_few_shots_teach_less_to_a_new_net_and_other_tasks_are_beyond_what_was_learnt(sine_learner):
    method, _ = sine_learner
    method = copy.deepcopy(method)
    method.test_steps = 10
    family = partial(Sinusoids, shots=5, queries=50, tasks=10, seed=2)
    tasks, shifted = family().at(0), family(amplitude=(8.0, 10.0)).at(0)
    ours = error(method, tasks)
    assert ours < 0.8 * torch.stack([from_scratch(*task) for task in zip(*tasks)]).mean().item()
    assert error(method, shifted) > 3 * ours


@pytest.mark.parametrize(("call", "line"), [
    (lambda: linear(steps=0), "expected one inner step or more, got steps=0"),
    (lambda: MAML(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), vectorized=True), "take BatchStatistics, or vectorized=False"),
    (lambda: linear(test_steps=0), "expected one inner step or more"),
    (lambda: linear().loss((*rows()[:3], torch.zeros(2, Q, 1))), "expected tasks as"),
    (lambda: linear().loss(rows()[:2]), r"of equal length, got \(3, 6, 4\), \(3, 6, 1\)"),
    (lambda: Conv4(size=28)(torch.rand(2, 1, 32, 32)), r"built for images of 28 x 28 pixels, got \(2, 1, 32, 32\)"),
    (lambda: Conv4()(torch.rand(2, 1, 8, 8)), r"expected images \(B, 1, H, W\) of 16 pixels or more, got \(2, 1, 8, 8\)"),
])
def test_bad_input_is_refused_in_one_line(call, line):
    with pytest.raises(ValueError, match=line) as caught:
        call()
    assert "\n" not in str(caught.value)
