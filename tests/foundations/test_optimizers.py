"""Every first-order optimizer against torch's, its closed forms, and what is claimed of it."""

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


@pytest.mark.row("FND-17")
@pytest.mark.parametrize(("rate", "diverges"), [(0.5, False), (1.99, False), (2.01, True), (3.0, True)])
def test_gradient_descent_diverges_iff_the_rate_exceeds_two_over_the_curvature(rate, diverges):
    """And the claim that a loss which rises with each step speaks of too high a rate: true, here it rises at every one."""
    path = descend(lambda p: GradientDescent(p, rate / 9), quadratic(1.0, 9.0), [1e-3, 1.0], 400)
    losses = [quadratic(1.0, 9.0)(theta).item() for theta in path]
    assert (losses[-1] > 10 * losses[0]) == diverges
    assert (losses[-1] < 0.1 * losses[0]) != diverges
    assert all(b > a for a, b in itertools.pairwise(losses)) == diverges


@pytest.mark.row("FND-17")
def test_noise_leaves_a_saddle_point_and_costs_less():
    """The claim that SGD is preferred because it is affordable and avoids saddle points: true on both counts."""
    def valley(theta):
        return theta[0] ** 2 - theta[1] ** 2 + theta[1] ** 4 / 4                 # saddle (0, 0), minima (0, +-sqrt 2)

    def noisy(theta):
        return valley(theta) + 0.01 * torch.randn(2, dtype=torch.float64) @ theta

    def make(p):
        return GradientDescent(p, 0.1)

    torch.testing.assert_close(descend(make, valley, [1.0, 0.0], 500)[-1], torch.zeros(2, dtype=torch.float64), atol=1e-6, rtol=0)
    assert descend(make, noisy, [1.0, 0.0], 500)[-1][1].abs().item() == pytest.approx(math.sqrt(2), abs=0.05)


@pytest.mark.row("FND-17")
def test_stochastic_descent_reaches_a_loss_with_fewer_gradients():
    """Gradient evaluations on 10^4 points until the excess loss is a hundredth of its start."""
    x = torch.randn(10_000, 5, dtype=torch.float64)
    y = x @ torch.arange(1.0, 6.0, dtype=torch.float64) + 0.1 * torch.randn(10_000, dtype=torch.float64)

    def evaluations(batch):
        theta = nn.Parameter(torch.zeros(5, dtype=torch.float64))
        optimizer = GradientDescent([theta], 0.1)
        for count in itertools.count(1):
            rows = slice(None) if batch == len(x) else torch.randint(len(x), (batch,))
            optimizer.zero_grad()
            (x[rows] @ theta - y[rows]).square().mean().div(2).backward()
            optimizer.step()
            if (x @ theta.detach() - y).square().mean() < 0.5:                   # 55 at the start
                return batch * count

    assert evaluations(10) < evaluations(10_000) / 100


@pytest.mark.row("FND-17")
def test_one_step_on_a_part_of_the_data_can_raise_the_loss():
    """The claim that the loss always falls after a stochastic step: false. Two points, their mean loss at its minimum."""
    theta = parameter(0.0)
    points = torch.tensor([1.0, -1.0], dtype=torch.float64)
    before = (theta - points).square().mean().item()
    (theta - points[0]).square().sum().backward()
    GradientDescent([theta], 0.1).step()
    assert (theta - points).square().mean().item() > before + 0.01


@pytest.mark.row("FND-17")
def test_stochastic_gradients_have_the_full_mean_and_more_variance():
    """The claims that stochastic and full descent share mean and variance (false: the mean alone), and that one example's gradient is unbiased but
    of high variance (true: B examples have 1/B of it)."""
    x, y, theta = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    each = (x @ theta - y)[:, None] * x                                          # (N, n), gradients of (x theta - y)^2 / 2

    def gradients(size):
        return torch.stack([each[list(rows)].mean(0) for rows in itertools.product(range(5), repeat=size)])

    for size in (1, 2, 3, 4):
        torch.testing.assert_close(gradients(size).mean(0), each.mean(0), atol=1e-8, rtol=0)
        variance = gradients(size).var(0, correction=0).sum()
        assert variance > 0.1
        torch.testing.assert_close(variance, gradients(1).var(0, correction=0).sum() / size)


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


@pytest.mark.row("FND-20")
def test_tuned_momentum_needs_a_fifth_of_the_steps():
    """The claim that momentum gives some benefits of Newton's method at virtually no cost: true at condition number 100, each at its best setting."""
    start = [1.0 / math.sqrt(2)] * 2
    plain = descend(lambda p: GradientDescent(p, 2 / 101), quadratic(1.0, 100.0), start, 1000)
    heavy = descend(lambda p: HeavyBall(p, 4 / 11**2, (9 / 11) ** 2), quadratic(1.0, 100.0), start, 1000)
    assert steps_until(heavy) < steps_until(plain) / 5


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


@pytest.mark.row("FND-21")
def test_nesterovs_guarantee_holds():
    """The claim that it has no guarantee: false. With mu_k = (k - 1) / (k + 2) and a = 1 / L the error stays below 2 L |x_0 - x*|^2 / (k + 1)^2."""
    curvatures = torch.logspace(-4, 0, 30, dtype=torch.float64)
    start = torch.ones(30, dtype=torch.float64)
    theta = nn.Parameter(start.clone())
    optimizer, worst = Nesterov([theta], 1.0), quadratic(*curvatures.tolist())
    plain = descend(lambda p: GradientDescent(p, 1.0), worst, start, 500)
    for k in range(1, 501):
        optimizer.param_groups[0]["momentum"] = k / (k + 3)
        optimizer.zero_grad()
        worst(theta).backward()
        optimizer.step()
        assert worst(optimizer.iterate(theta)) <= 2 * start.square().sum() / (k + 1) ** 2
    assert worst(optimizer.iterate(theta)) < worst(plain[-1]) / 5


@pytest.mark.row("FND-20", "FND-21")
def test_momentum_can_cycle_where_nesterov_converges():
    """The claim that plain momentum has no guarantee and Nesterov's has: true. A smooth, strongly convex function (Lessard, Recht & Packard 2016)."""
    def slope(x):
        return torch.where(x < 1, 25 * x, torch.where(x < 2, x + 24, 25 * x - 24))

    def convex(x):
        return (slope(x.detach()) * x).sum()                                     # its gradient is the slope

    cycle = torch.cat(descend(lambda p: HeavyBall(p, 1 / 9, 4 / 9), convex, [3.3], 300))[-3:]
    expected = torch.tensor([2.116, 0.647, -1.802], dtype=torch.float64)
    torch.testing.assert_close(cycle.sort().values, expected.sort().values, atol=1e-3, rtol=0)
    assert descend(lambda p: Nesterov(p, 1 / 25, 2 / 3), convex, [3.3], 300)[-1].abs() < 1e-9


# rates by coordinate


@pytest.mark.row("FND-22", "FND-23")
def test_adagrads_steps_vanish_and_rmsprops_do_not():
    """The claim that RMSProp avoids a vanishing rate: true. Under a constant gradient step k has length a / sqrt(k), and tends to a."""
    k = torch.arange(1, 401, dtype=torch.float64)
    for g in (1.0, 0.01):
        ada = lengths(descend(lambda p: AdaGrad(p, 0.1, eps=1e-30), constant_gradient(g), [0.0], 400))[:, 0]
        torch.testing.assert_close(ada, 0.1 / k.sqrt(), atol=1e-10, rtol=0)
        rms = lengths(descend(lambda p: RMSProp(p, 0.1, decay=0.95, eps=1e-30), constant_gradient(g), [0.0], 400))[:, 0]
        torch.testing.assert_close(rms, 0.1 / (1 - 0.95**k).sqrt(), atol=1e-8, rtol=0)
        assert rms[-1].item() == pytest.approx(0.1, abs=1e-4)


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


@pytest.mark.row("FND-22", "FND-24")
def test_rates_are_disentangled_between_coordinates():
    """The claim that Adam and AdaGrad have a rate for each dimension: true. Scaling one coordinate's gradient leaves every step as it was."""
    for make in (Adam, AdaGrad):
        def path(scale, make=make):
            return descend(lambda p: make(p, 0.1, eps=1e-30), lambda t: quadratic(1.0)(t[:1]) + scale * quadratic(1.0)(t[1:]), [1.0, 1.0], 50)

        first = lengths(path(1000.0))[0]
        torch.testing.assert_close(first, torch.tensor([0.1, 0.1], dtype=torch.float64))
        assert_close(path(1.0), path(1000.0), atol=1e-9)


@pytest.mark.row("FND-24")
def test_adams_corrections_belong_to_their_own_moments():
    """Of a constant gradient both corrected moments are exact at every step, which keeps the length a. Without them the first step is
    (1 - b1) / sqrt(1 - b2) = 3.162 times longer, not shorter; with the two exchanged it would be a thousand times too long."""
    path = descend(lambda p: Adam(p, 0.1, eps=1e-30), constant_gradient(3.0, 1e-4), [0.0, 0.0], 200)
    torch.testing.assert_close(lengths(path), torch.full((200, 2), 0.1, dtype=torch.float64), atol=1e-9, rtol=0)
    uncorrected = (1 - 0.9) / math.sqrt(1 - 0.999)
    assert uncorrected == pytest.approx(3.162278, abs=1e-6)
    exchanged = uncorrected / (1 - 0.999) * math.sqrt(1 - 0.9)
    assert exchanged == pytest.approx(1000)


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
