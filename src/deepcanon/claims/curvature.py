"""Claims about curvature: convexity, critical points, Newton's method."""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, above, below, claim, every
from deepcanon.claims.problems import descend, labelled
from deepcanon.foundations import logistic
from deepcanon.foundations.newton import Newton, solve
from deepcanon.foundations.optimizers import GradientDescent


@claim("C-006", answer="no")
def newton_climbs() -> Finding:
    """Second-order optimization is more stable than gradient descent.

    On cos x from x = 0.3, near the maximum at 0: Newton's method, six steps, and gradient descent, 300 steps
    of rate 0.1. The nearest minimum lies at 3.1416.
    """
    theta = nn.Parameter(torch.tensor([0.3], dtype=torch.float64))
    newton = Newton([theta])
    for _ in range(6):
        newton.step(lambda: theta.cos().sum())
    descent = descend(lambda p: GradientDescent(p, 0.1), lambda t: t.cos().sum(), [0.3], 300)[-1]
    measured = {"newton_ends_at": theta.item(), "newton_loss": theta.cos().item(),
                "descent_ends_at": descent.item(), "descent_loss": descent.cos().item()}
    return Finding(measured, measured["newton_loss"] <= measured["descent_loss"],
                   "Where the Hessian has negative eigenvalues Newton's step climbs, to a maximum or saddle.")


@claim("C-008", answer="yes")
def logistic_regression_is_convex() -> Finding:
    """The negative log-likelihood of logistic regression is convex, so that gradient descent with a small
    enough rate reaches the global minimum.

    Eigenvalues of the Hessian at 20 random weights of each of three sizes, in parts of the largest; where
    descent of rate 1/L, 800 steps from five starts, and Newton's method end, beside the minimum.
    """
    x, y = labelled(200, 1.0, -2.0, 0.5)
    curvatures = [torch.linalg.eigvalsh(logistic.hessian(size * torch.randn(3, dtype=torch.float64), x))
                  for size in (0.1, 1.0, 10.0) for _ in range(20)]
    best = logistic.fit(x, y)

    def nll(theta: Tensor) -> Tensor:
        return logistic.nll(theta, x, y)

    rate = 4 / torch.linalg.eigvalsh(x.T @ x).max().item()             # 1 / L, as p (1 - p) <= 1/4
    ends = [descend(lambda p: GradientDescent(p, rate), nll, torch.randn(3), 800)[-1] for _ in range(5)]
    theta = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    newton = Newton([theta])
    for _ in range(8):
        newton.step(lambda: nll(theta))
    measured = {"least_curvature": min((c.min() / c.max()).item() for c in curvatures),
                "descent_distance": max((end - best).abs().max().item() for end in ends),
                "newton_distance": (theta.detach() - best).abs().max().item()}
    return Finding(measured, measured["least_curvature"] >= -1e-12 and measured["descent_distance"] < 1e-4)


@claim("C-009", answer="yes")
def critical_points_are_saddles() -> Finding:
    """In high dimension most critical points are saddle points.

    Random symmetric Gaussian Hessians in n = 1 to 5 dimensions, 500,000 of each: the share of minima, all of
    whose eigenvalues are positive, with its binomial interval. There are as many maxima; the rest are saddle
    points.
    """
    measured, intervals, draws = {}, {}, 500_000
    for n in range(1, 6):
        a = torch.randn(draws, n, n)
        share = (torch.linalg.cholesky_ex(a + a.mT).info == 0).double().mean().item()
        half = 1.96 * math.sqrt(share * (1 - share) / draws)
        measured[f"minima_in_{n}d"], intervals[f"minima_in_{n}d"] = share, (share - half, share + half)
    measured["saddles_in_5d"] = 1 - 2 * measured["minima_in_5d"]
    vanish = every(above(intervals["minima_in_1d"], 0.49), below(intervals["minima_in_5d"], 0.001))
    return Finding(measured, vanish,
                   "Of random Hessians; the share of minima falls faster than exponentially.", intervals)


@claim("C-010", answer="yes")
def newton_costs_the_cube() -> Finding:
    """Newton's method costs O(n^3) and gradient descent O(n), so that Newton's is not for networks.

    Processor time of one solution of Newton's equations in n = 200 to 1,600 parameters and of one step of
    descent in 0.2 to 1.6 million: the slopes of log time against log n. One Newton step solves a quadratic of
    20 parameters: its distance from the minimum.
    """
    def newton(n: int) -> Callable[[], object]:
        hessian, g = positive_definite(n), torch.randn(n, dtype=torch.float64)
        return lambda: solve(hessian, g)

    def descent(n: int) -> Callable[[], object]:
        p = nn.Parameter(torch.zeros(n))
        p.grad = torch.randn(n)
        return GradientDescent([p]).step

    hessian, b = positive_definite(20), torch.randn(20, dtype=torch.float64)
    theta = nn.Parameter(torch.randn(20, dtype=torch.float64))
    Newton([theta]).step(lambda: 0.5 * theta @ hessian @ theta - b @ theta)
    distance = (theta.detach() - torch.linalg.solve(hessian, b)).abs().max().item()
    measured = {"newton_slope": slope(newton, (200, 400, 800, 1600), 2),
                "descent_slope": slope(descent, (200_000, 400_000, 800_000, 1_600_000), 100),
                "distance_after_one_step": distance}
    as_said = measured["newton_slope"] > 2 and measured["descent_slope"] < 1.5
    return Finding(measured, as_said and distance < 1e-9)


def positive_definite(n: int) -> Tensor:
    """A Hessian of a convex quadratic."""
    a = torch.randn(n, n, dtype=torch.float64)
    return a @ a.T / n + 0.1 * torch.eye(n, dtype=torch.float64)


def slope(make: Callable[[int], Callable[[], object]], sizes: tuple[int, ...], rounds: int) -> float:
    """Of log time against log n by least squares; the time on one thread, the least of some rounds."""
    def seconds(work: Callable[[], object]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    threads, works = torch.get_num_threads(), [make(n) for n in sizes]
    torch.set_num_threads(1)
    try:
        times = torch.tensor([[seconds(work) for work in works] for _ in range(rounds)], dtype=torch.float64)
    finally:
        torch.set_num_threads(threads)
    sizes_and_one = torch.tensor([[math.log(n), 1.0] for n in sizes], dtype=torch.float64)
    return torch.linalg.lstsq(sizes_and_one, times.amin(0).log().unsqueeze(1)).solution[0].item()
