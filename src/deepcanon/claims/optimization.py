"""Claims about gradient descent, its mini-batches, its rate and its clipping."""

import itertools
import math

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, above, claim, every, over_seeds
from deepcanon.claims.problems import descend, labelled, quadratic
from deepcanon.engine.clipping import clip_norm, clip_value
from deepcanon.foundations import logistic
from deepcanon.foundations.minibatch import epoch, example_gradients, gradient
from deepcanon.foundations.optimizers import GradientDescent


def travel(loss, theta: Tensor, data: tuple[Tensor, ...], batch: int, lr: float):
    """theta after each step on mini-batches of the data, epoch after epoch, without end."""
    p = nn.Parameter(theta.clone())
    optimizer = GradientDescent([p], lr)
    for rows in itertools.chain.from_iterable(epoch(len(data[0]), batch) for _ in itertools.count()):
        p.grad = gradient(loss, p.detach(), *(part[rows] for part in data))
        optimizer.step()
        yield p.detach().clone()


def example_nll(theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Of logistic regression, one example."""
    return logistic.nll(theta, x[None], y[None])


@claim("C-001", answer="yes")
def noise_is_cheap_and_leaves_saddles() -> Finding:
    """Stochastic gradient descent is preferred to descent on all data because a step is affordable and its
    noise escapes from saddle points.

    On x^2 - y^2 + y^4/4, started at y = 0 exactly, 200 steps of both; the minima lie at |y| = 1.414. Then
    linear regression on 10,000 points: how many gradients of single examples, in batches of 10 and of all,
    until the excess loss is a hundredth of its start.
    """
    def valley(point: Tensor, noise: Tensor) -> Tensor:
        x, y = point
        return x**2 - y**2 + y**4 / 4 + noise @ point

    def regression(theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return (x @ theta - y).square() / 2

    def experiment(seed: int) -> dict[str, float]:
        noise = torch.randint(-4, 5, (64, 2)).double() / 4
        noise = torch.cat([noise, -noise])                             # in quarters: their mean is exactly 0
        saddle = torch.tensor([1.0, 0.0], dtype=torch.float64)
        full, single = (next(itertools.islice(travel(valley, saddle, (noise,), batch, 0.05), 199, None))
                        for batch in (128, 1))
        x = torch.randn(10_000, 5, dtype=torch.float64)
        truth = torch.arange(1.0, 6.0, dtype=torch.float64)
        data, used = (x, x @ truth), {}
        for batch in (10_000, 10):
            steps = travel(regression, torch.zeros(5, dtype=torch.float64), data, batch, 0.1)
            excess = ((x @ (theta - truth)).square().mean() / data[1].square().mean() for theta in steps)
            used[batch] = float(batch * next(k for k, left in enumerate(excess, 1) if left < 0.01))
        return {"y_full": full[1].abs().item(), "y_stochastic": single[1].abs().item(),
                "gradients_full": used[10_000], "gradients_stochastic": used[10],
                "saving": used[10_000] / used[10]}

    means, ends = over_seeds(experiment)
    escapes = every(means["y_full"] == 0, above(ends["y_stochastic"], 1.0))
    return Finding(means, every(escapes, above(ends["saving"], 100.0)), intervals=ends)


@claim("C-005", answer="no")
def stochastic_gradients_vary() -> Finding:
    """Stochastic and full gradient descent have the same mean and the same variance in training.

    Every mini-batch of 2 of the 12 examples of a logistic regression, drawn with replacement: mean and total
    variance of its gradient, beside the gradient of all examples, which is always the same.
    """
    estimates, each = batch_gradients(2)
    full = each.mean(0)
    difference = (estimates.mean(0) - full).abs().max().item()
    variance = estimates.var(0, correction=0).sum().item()
    measured = {"mean_difference": difference, "stochastic_variance": variance, "full_variance": 0.0}
    same = difference < 1e-8 and variance < 1e-8
    return Finding(measured, same, "The mean gradient is the same, the variance is not.")


@claim("C-012", answer="yes")
def single_examples_are_unbiased_and_noisy() -> Finding:
    """The gradient of a single example is unbiased and has a high variance.

    Every mini-batch of B = 1, 2, 3 of 12 examples, drawn with replacement: the difference of its mean
    gradient from the full one, its variance in parts of that of single examples, which is 1/B, and that of
    single examples beside the squared full gradient.
    """
    gradients = {size: batch_gradients(size)[0] for size in (1, 2, 3)}
    full = batch_gradients(1)[1].mean(0)
    variance = {size: g.var(0, correction=0).sum() for size, g in gradients.items()}
    measured = {"bias": (gradients[1].mean(0) - full).abs().max().item(),
                "variance_of_2": (variance[2] / variance[1]).item(),
                "variance_of_3": (variance[3] / variance[1]).item(),
                "noise_to_signal": (variance[1] / full.square().sum()).item()}
    shares = all(math.isclose(measured[f"variance_of_{size}"], 1 / size, rel_tol=1e-8) for size in (2, 3))
    return Finding(measured, measured["bias"] < 1e-8 and shares and measured["noise_to_signal"] > 1)


def batch_gradients(size: int) -> tuple[Tensor, Tensor]:
    """The gradients of all mini-batches of a size, drawn with replacement, and those of the 12 examples."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(12, 3, generator=generator, dtype=torch.float64)
    y = torch.randint(2, (12,), generator=generator).double()
    theta = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    rows = torch.tensor(list(itertools.product(range(12), repeat=size)))         # (12^size, size)
    batches = torch.func.vmap(lambda x, y: gradient(example_nll, theta, x, y))(x[rows], y[rows])
    return batches, example_gradients(example_nll, theta, x, y)


@claim("C-017", answer="no")
def a_step_can_raise_the_loss() -> Finding:
    """The loss falls with every update of stochastic gradient descent.

    Two points, 1 and -1, and their mean squared distance from theta = 0, its minimum: a step of rate 0.1 on
    the first point alone. Then a logistic regression at its minimum: the share of steps on single examples
    that raise the loss of all.
    """
    points = torch.tensor([1.0, -1.0], dtype=torch.float64)
    path = descend(lambda p: GradientDescent(p, 0.1), lambda t: (t - points[:1]).square().sum(), [0.0], 1)
    before, after = ((theta - points).square().mean().item() for theta in path)
    x, y = labelled(100, 1.0, -2.0, 0.5)
    best = logistic.fit(x, y)
    gradients = example_gradients(example_nll, best, x, y)
    losses = torch.stack([logistic.nll(best - 0.1 * g, x, y) for g in gradients])
    raised = (losses > logistic.nll(best, x, y)).double().mean().item()
    measured = {"loss_before": before, "loss_after": after, "raising_steps_at_a_minimum": raised}
    return Finding(measured, after <= before, "It falls on average; a single step may raise it.")


@claim("C-019", answer="yes")
def a_rising_loss_means_too_high_a_rate() -> Finding:
    """If the training loss rises rapidly with each step, the learning rate may be too high.

    Descent on a quadratic with curvatures 1 and L = 9 at rates of 1.99 / L, 2.01 / L and 3 / L: the share of
    100 steps at which the loss rises, and the factor of the last one, which is (1 - rate L)^2.
    """
    measured, loss = {}, quadratic(1.0, 9.0)
    for rate in (1.99, 2.01, 3.0):
        path = descend(lambda p, rate=rate: GradientDescent(p, rate / 9), loss, [1e-3, 1.0], 100)
        losses = torch.stack([loss(theta) for theta in path])
        measured[f"rising_at_{rate:g}"] = (losses[1:] > losses[:-1]).double().mean().item()
        measured[f"factor_at_{rate:g}"] = (losses[-1] / losses[-2]).item()
    rises = measured["rising_at_2.01"] == measured["rising_at_3"] == 1
    return Finding(measured, rises and measured["rising_at_1.99"] == 0)


@claim("C-049", answer="yes")
def clipping_tames_explosions_alone() -> Finding:
    """Gradient clipping handles exploding gradients, not vanishing ones.

    Gradients of size 1e-12 and 1e12, clipped to 1 by norm and by value: the change of the small one, and what
    is left of the large one.
    """
    measured = {}
    for name, clip in (("norm", clip_norm), ("value", clip_value)):
        small, large = nn.Parameter(torch.zeros(5, 3)), nn.Parameter(torch.zeros(5, 3))
        small.grad, large.grad = 1e-12 * torch.randn(5, 3), 1e12 * torch.randn(5, 3)
        before = small.grad.clone()
        clip([small], 1.0)
        clip([large], 1.0)
        measured[f"change_of_small_by_{name}"] = (small.grad - before).abs().max().item()
        size = large.grad.norm() if name == "norm" else large.grad.abs().max()
        measured[f"large_by_{name}"] = size.item()
    unchanged = measured["change_of_small_by_norm"] == measured["change_of_small_by_value"] == 0
    return Finding(measured, unchanged and max(measured["large_by_norm"], measured["large_by_value"]) < 1.001)
