"""Every first-order optimizer against torch's and its closed forms; what is claimed of them is in `tests/claims/`."""

import copy
import io
import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from deepcanon import engine
from deepcanon.engine import Trainer
from deepcanon.foundations.optimizers import AdaGrad, Adam, GradientDescent, HeavyBall, Momentum, Nesterov, RMSProp, eps_inside, eps_outside
from tests.engine.shapes import Steps

OURS = {
    "gradient descent": (lambda p: GradientDescent(p, 0.1), lambda p: torch.optim.SGD(p, 0.1), engine.SGD(0.1)),
    "momentum": (lambda p: Momentum(p, 0.05, 0.9), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9), engine.SGD(0.05, momentum=0.9)),
    "heavy ball": (lambda p: HeavyBall(p, 0.05, 0.9), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9), engine.SGD(0.05, momentum=0.9)),
    "nesterov": (lambda p: Nesterov(p, 0.05, 0.9), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
                 engine.SGD(0.05, momentum=0.9, nesterov=True)),
    "adagrad": (lambda p: AdaGrad(p, 0.05), lambda p: torch.optim.Adagrad(p, 0.05), engine.Adagrad(0.05)),
    "rmsprop": (lambda p: RMSProp(p, 0.01), lambda p: torch.optim.RMSprop(p, 0.01), engine.RMSprop(0.01)),
    "adam": (lambda p: Adam(p, 0.01), lambda p: torch.optim.Adam(p, 0.01), engine.Adam(0.01)),
}


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def descend(make, loss, start, steps: int) -> list[Tensor]:
    """Where the parameter stands after 0, 1, ..., `steps` steps."""
    theta = nn.Parameter(torch.as_tensor(start, dtype=torch.float64).clone())
    optimizer, path = make([theta]), [theta.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        loss(theta).backward()
        optimizer.step()
        path.append(theta.detach().clone())
    return path


def quadratic(*curvatures: float):
    """1/2 sum_i l_i theta_i^2."""
    return lambda theta: 0.5 * (torch.tensor(curvatures, dtype=torch.float64) * theta.square()).sum()


def constant_gradient(*g: float):
    return lambda theta: (torch.tensor(g, dtype=torch.float64) * theta).sum()


def lengths(path: list[Tensor]) -> Tensor:
    """Of each step, by coordinate."""
    return torch.stack(path).diff(dim=0).abs()


class Net(nn.Module):
    """A small net with a smooth loss, in double precision."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()

    def loss(self, x):
        return (self.net(x) - x[:, :3].sin()).square().mean()


def batch(n, generator):
    return torch.randn(n, 4, generator=generator)


def train(make, steps: int = 100) -> list[Tensor]:
    method, data = Net(), Steps(batch, dtype=torch.float64)
    optimizer = make(method.parameters())
    for i in range(steps):
        optimizer.zero_grad()
        method.loss(data.at(i)).backward()
        optimizer.step()
    return [p.detach() for p in method.parameters()]


def assert_close(ours, theirs, atol=1e-10):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=atol, rtol=0)


# the same as torch's


@pytest.mark.row("FND-17", "FND-20", "FND-21", "FND-22", "FND-23", "FND-24")
@pytest.mark.parametrize("name", OURS)
def test_a_hundred_steps_are_torchs_and_the_engines(name):
    ours, torchs, engines = OURS[name]
    reached = train(ours)
    assert_close(reached, train(torchs))
    assert_close(reached, train(engines))
    assert max((a - b).abs().max() for a, b in zip(reached, train(ours, 0))) > 0.1


@pytest.mark.parametrize("kind", ["ours", "torch's"])
@pytest.mark.parametrize("name", OURS)
def test_every_optimizer_trains_through_the_engine_and_resumes(name, kind):
    ours, _, factory = OURS[name]
    if kind == "ours":
        settings = ours([parameter(0.0)]).defaults
        factory = engine.Factory(type(ours([parameter(0.0)])), settings["lr"], options={k: v for k, v in settings.items() if k != "lr"})

    def session(total, state=None):
        trainer = Trainer(Net(), Steps(batch, dtype=torch.float64), factory, total=total)
        if state:
            trainer.load_state_dict(torch.load(state, weights_only=True))
        trainer.run()
        return trainer

    torch.save(session(5).state_dict(), half := io.BytesIO())
    half.seek(0)
    resumed, unbroken = (trainer.method.state_dict() for trainer in (session(10, half), session(10)))
    assert all(torch.equal(resumed[k], unbroken[k]) for k in unbroken)
    assert_close(unbroken.values(), train(ours, 10))


# gradient descent


@pytest.mark.row("FND-17")
def test_gradient_descent_on_a_quadratic_is_its_closed_form():
    curvatures, start = torch.tensor([0.1, 1.0, 3.0, 9.0], dtype=torch.float64), torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    for lr in (0.01, 0.1, 0.2, 0.25):
        path = descend(lambda p, lr=lr: GradientDescent(p, lr), quadratic(*curvatures.tolist()), start, 50)
        assert_close(path, [(1 - lr * curvatures) ** k * start for k in range(51)], atol=1e-8)


# momentum


@pytest.mark.row("FND-20")
def test_the_two_forms_of_momentum_part_when_the_rate_changes():
    def path(make):
        theta = parameter(1.0, -2.0)
        optimizer = make([theta], lr=0.1, momentum=0.8)
        for k in range(20):
            optimizer.param_groups[0]["lr"] = 0.1 if k < 10 else lr
            optimizer.zero_grad()
            quadratic(1.0, 5.0)(theta).backward()
            optimizer.step()
        return theta.detach()

    lr = 0.1
    torch.testing.assert_close(path(Momentum), path(HeavyBall), atol=1e-10, rtol=0)
    lr = 0.01
    assert (path(Momentum) - path(HeavyBall)).abs().max() > 1e-3


def steps_until(path: list[Tensor], distance: float = 1e-6) -> int:
    return next(k for k, theta in enumerate(path) if theta.norm() < distance)


@pytest.mark.row("FND-21")
def test_torch_stands_at_the_point_ahead():
    curvatures, start, lr, mu = (1.0, 20.0, 100.0), [1.0, -1.0, 0.5], 0.005, 0.9
    theta = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer, iterates = Nesterov([theta], lr, mu), [theta.detach().clone()] * 2           # theta_-1 = theta_0
    for _ in range(100):
        optimizer.zero_grad()
        quadratic(*curvatures)(theta).backward()
        optimizer.step()
        iterates.append(optimizer.iterate(theta).clone())
    scale = torch.tensor(curvatures, dtype=torch.float64)
    ahead = [b + mu * (b - a) for a, b in itertools.pairwise(iterates)]
    assert_close(iterates[2:], [phi - lr * scale * phi for phi in ahead[:-1]], atol=1e-12)   # the equation itself
    torchs = descend(lambda p: torch.optim.SGD(p, lr, momentum=mu, nesterov=True), quadratic(*curvatures), start, 100)
    assert_close(ahead, torchs, atol=1e-8)


@pytest.mark.row("FND-21")
def test_nesterov_needs_fewer_steps_than_gradient_descent():
    start, worst = [1.0, 1.0], quadratic(1.0, 100.0)
    plain = descend(lambda p: GradientDescent(p, 1 / 100), worst, start, 1500)
    ahead = descend(lambda p: Nesterov(p, 1 / 100, (10 - 1) / (10 + 1)), worst, start, 1500)
    assert steps_until(ahead) < steps_until(plain) / 5


# rates by coordinate


@pytest.mark.row("FND-22", "FND-23", "FND-24")
@pytest.mark.parametrize("make", [AdaGrad, RMSProp, Adam])
def test_epsilon_stands_where_it_is_put(make):
    settings = {} if make is AdaGrad else {"decay": 0.0} if make is RMSProp else {"betas": (0.0, 0.0)}
    for root, expected in [(eps_outside, 2 / (2 + 0.5)), (eps_inside, 2 / math.sqrt(4 + 0.5))]:
        step = lengths(descend(lambda p, root=root: make(p, 1.0, eps=0.5, root=root, **settings), constant_gradient(2.0), [0.0], 1))
        assert step.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.row("FND-24")
def test_adams_defaults_and_first_step():
    """Worked example "Adam defaults and first step"."""
    theta = parameter(1.0, 1.0)
    optimizer = Adam([theta])
    assert optimizer.defaults == {"lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-8}
    theta.grad = torch.tensor([0.5, -200.0], dtype=torch.float64)
    optimizer.step()
    state = optimizer.state[theta]
    for found, expected in [(state["m"], [0.05, -20.0]), (state["v"], [0.00025, 40.0]),
                            (state["m"] / (1 - 0.9), [0.5, -200.0]), (state["v"] / (1 - 0.999), [0.25, 40_000.0]), (theta, [0.999, 1.001])]:
        torch.testing.assert_close(found.detach(), torch.tensor(expected, dtype=torch.float64), atol=1e-7, rtol=0)


@pytest.mark.row("FND-24")
def test_adams_corrections_belong_to_their_own_moments():
    """Of a constant gradient both corrected moments are exact at every step, which keeps the length a."""
    path = descend(lambda p: Adam(p, 0.1, eps=1e-30), constant_gradient(3.0, 1e-4), [0.0, 0.0], 200)
    torch.testing.assert_close(lengths(path), torch.full((200, 2), 0.1, dtype=torch.float64), atol=1e-9, rtol=0)


# doors


@pytest.mark.parametrize(("make", "complaint"), [
    (lambda p: GradientDescent(p, -0.1), "expected lr of 0 or more, got -0.1"),
    (lambda p: GradientDescent(p, math.nan), "expected lr of 0 or more, got nan"),
    (lambda p: Momentum(p, momentum=1.0), r"expected momentum in \[0, 1\), got 1.0"),
    (lambda p: HeavyBall(p, momentum=-0.5), r"expected momentum in \[0, 1\), got -0.5"),
    (lambda p: Nesterov(p, momentum=2.0), r"expected momentum in \[0, 1\), got 2.0"),
    (lambda p: AdaGrad(p, eps=0.0), "expected eps above 0, got 0.0: a coordinate without gradient would move by 0 / 0"),
    (lambda p: RMSProp(p, decay=1.0), r"expected decay in \[0, 1\), got 1.0"),
    (lambda p: Adam(p, betas=(0.9, 1.0)), r"expected betas\[1\] in \[0, 1\), got 1.0"),
])
def test_settings_that_cannot_be_are_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make([parameter(0.0)])


def test_a_parameter_without_gradient_stays_and_a_closure_is_evaluated():
    for make, _, _ in OURS.values():
        used, unused = parameter(1.0), parameter(1.0)
        optimizer = make([used, unused])

        def closure(optimizer=optimizer, used=used):
            optimizer.zero_grad()
            loss = used.square().sum()
            loss.backward()
            return loss

        assert optimizer.step(closure).item() == 1.0
        assert used.item() < 1
        assert unused.item() == 1
        assert unused not in optimizer.state
        assert copy.deepcopy(optimizer.state_dict()).keys() == {"state", "param_groups"}
