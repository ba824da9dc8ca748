"""Claims about momentum and about rates by coordinate."""

import math

import torch
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, claim
from deepcanon.claims.problems import descend, quadratic, steps_until
from deepcanon.foundations.newton import Newton
from deepcanon.foundations.optimizers import AdaGrad, Adam, GradientDescent, HeavyBall, Nesterov, RMSProp


def constant_gradient(*g: float):
    """A loss with the gradient g everywhere."""
    return lambda theta: (torch.tensor(g, dtype=torch.float64) * theta).sum()


@claim("C-002", answer="yes")
def rmsprop_keeps_its_rate() -> Finding:
    """RMSProp's advantage over AdaGrad is a learning rate that does not vanish.

    Under a constant gradient of 1, the length of step 1,000 in units of the rate, for AdaGrad 1 / sqrt(1000);
    and how far any of the 1,000 steps is from 1 / sqrt(k) for AdaGrad and from 1 / sqrt(1 - 0.99^k), which
    tends to 1, for RMSProp.
    """
    measured, k = {}, torch.arange(1, 1001, dtype=torch.float64)
    cases = {"adagrad": (lambda p: AdaGrad(p, 0.1, eps=1e-30), k.rsqrt()),
             "rmsprop": (lambda p: RMSProp(p, 0.1, decay=0.99, eps=1e-30), (1 - 0.99**k).rsqrt())}
    for name, (make, expected) in cases.items():
        lengths = descend(make, constant_gradient(1.0), [0.0], 1000).diff(dim=0).abs().squeeze(1) / 0.1
        measured[f"{name}_step"] = lengths[-1].item()
        measured[f"{name}_deviation"] = (lengths - expected).abs().max().item()
    exact = max(measured["adagrad_deviation"], measured["rmsprop_deviation"]) < 1e-8
    return Finding(measured, exact and measured["rmsprop_step"] > 0.99 and measured["adagrad_step"] < 0.1)


@claim("C-003", answer="yes")
def rates_are_disentangled() -> Finding:
    """Adam and AdaGrad give each dimension a learning rate of its own, independent of those of the others.

    The first step on the gradient (1, 1000), in units of the rate; then 50 steps on a quadratic whose second
    coordinate is scaled by 1 and by 1,000: how far the two paths are apart. Gradient descent beside them.
    """
    measured, cases = {}, {"adam": (lambda p: Adam(p, 0.1, eps=1e-30), 0.1),
                           "adagrad": (lambda p: AdaGrad(p, 0.1, eps=1e-30), 0.1),
                           "descent": (lambda p: GradientDescent(p, 1e-4), 1e-4)}
    for name, (make, rate) in cases.items():
        first, second = (-descend(make, constant_gradient(1.0, 1000.0), [0.0, 0.0], 1)[1] / rate).tolist()
        plain, scaled = (descend(make, quadratic(1.0, scale), [1.0, 1.0], 50) for scale in (1.0, 1000.0))
        measured |= {f"{name}_first": first, f"{name}_second": second,
                     f"{name}_change": (plain - scaled).abs().max().item()}
    ours = max(measured["adam_change"], measured["adagrad_change"])
    return Finding(measured, ours < 1e-8 < measured["descent_change"])


@claim("C-004", answer="no")
def nesterov_has_a_guarantee() -> Finding:
    """Nesterov's momentum comes with no guarantee of convergence, yet it is common in practice.

    A quadratic of 30 curvatures from 0.0001 to L = 1, rate 1/L, momentum (k - 1) / (k + 2): the largest share
    that the error takes of its bound, 2 L |x_0 - x*|^2 / (k + 1)^2, over 500 steps, and the error after them,
    beside that of gradient descent of the same rate.
    """
    curvatures = torch.logspace(-4, 0, 30, dtype=torch.float64)
    start, loss = torch.ones(30, dtype=torch.float64), quadratic(*curvatures.tolist())
    theta = nn.Parameter(start.clone())
    optimizer, errors = Nesterov([theta], 1.0), []
    for k in range(1, 501):
        optimizer.param_groups[0]["momentum"] = k / (k + 3)            # of the step to come
        optimizer.zero_grad()
        loss(theta).backward()
        optimizer.step()
        errors.append(loss(optimizer.iterate(theta)).item())
    bounds = [2 * start.square().sum().item() / (k + 1) ** 2 for k in range(1, 501)]
    share = max(error / bound for error, bound in zip(errors, bounds))
    descent = loss(descend(lambda p: GradientDescent(p, 1.0), loss, start, 500)[-1]).item()
    measured = {"largest_share_of_bound": share, "nesterov_error": errors[-1], "descent_error": descent}
    return Finding(measured, share > 1, "On smooth convex functions it has one, better than descent's own; "
                                        "how common it is, is a matter of practice.")


@claim("C-007", answer="yes")
def momentum_can_cycle() -> Finding:
    """Momentum alone has no guarantee of convergence; Nesterov's has a better one than gradient descent on
    smooth functions.

    A smooth, strongly convex function of slope 25 x, x + 24, 25 x - 24 below 1, up to 2 and above (Lessard,
    Recht & Packard 2016), from 3.3: the three points between which the heavy ball of rate 1/9 and momentum
    4/9 goes round, and where Nesterov's of rate 1/25 and momentum 2/3 ends, and the heavy ball of rate 0.04.
    """
    def convex(x: Tensor) -> Tensor:
        at = x.detach()
        slope = torch.where(at < 1, 25 * at, torch.where(at < 2, at + 24, 25 * at - 24))
        return (slope * x).sum()                                       # its gradient is the slope

    def path(make) -> Tensor:
        return descend(make, convex, [3.3], 300)[:, 0]

    cycling = path(lambda p: HeavyBall(p, 1 / 9, 4 / 9))
    low, middle, high = cycling[-3:].sort().values.tolist()
    drift = (cycling[-3:] - cycling[-6:-3]).abs().max().item()
    nesterov = path(lambda p: Nesterov(p, 1 / 25, 2 / 3))[-1].abs().item()
    slower = path(lambda p: HeavyBall(p, 0.04, 4 / 9))[-1].abs().item()
    measured = {"cycle_high": high, "cycle_middle": middle, "cycle_low": low, "cycle_drift": drift,
                "nesterov_end": nesterov, "small_rate_end": slower}
    return Finding(measured, drift < 1e-6 and high - low > 1 and nesterov < 1e-9,
                   "Momentum is safe at rates below 2 (1 - momentum) / L, which is 0.044 here.")


@claim("C-011", answer="yes")
def momentum_is_a_cheap_newton() -> Finding:
    """Momentum has some of the benefits of Newton's method at hardly any cost.

    A quadratic with condition number 100, from a point at distance 1 that lies along both axes: steps until
    the distance is 1e-6, for gradient descent and the heavy ball at the best settings of each, and for
    Newton's method.
    """
    start, loss = [1 / math.sqrt(2)] * 2, quadratic(1.0, 100.0)
    plain = steps_until(descend(lambda p: GradientDescent(p, 2 / 101), loss, start, 1000), 1e-6)
    heavy = steps_until(descend(lambda p: HeavyBall(p, 4 / 11**2, (9 / 11) ** 2), loss, start, 1000), 1e-6)
    theta = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    Newton([theta]).step(lambda: loss(theta))
    newton = theta.norm().item()
    measured = {"descent_steps": plain, "momentum_steps": heavy, "ratio": plain / heavy,
                "distance_after_one_newton_step": newton}
    return Finding(measured, heavy < plain / 5 and newton < 1e-6)


@claim("C-013", answer="yes")
def adam_uncorrected_starts_long() -> Finding:
    """Without its correction Adam's first steps would be very small, as its averages start at zero.

    The first step under a constant gradient in units of the rate: as it is; with neither average corrected,
    (1 - b1) / sqrt(1 - b2); and with the average of the gradient alone left uncorrected, 1 - b1.
    """
    theta = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = Adam([theta], 0.1, betas=(0.9, 0.999), eps=1e-30)
    theta.grad = torch.full_like(theta, 3.0)
    optimizer.step()
    m, v = (optimizer.state[theta][name] for name in ("m", "v"))
    measured = {"corrected": -theta.item() / 0.1, "uncorrected": (m / v.sqrt()).item(),
                "first_moment_uncorrected": (m / (v / (1 - 0.999)).sqrt()).item()}
    return Finding(measured, measured["uncorrected"] < 0.5,
                   "With the usual decays the first would be three times longer; the remark holds for the "
                   "average of the gradient alone.")
