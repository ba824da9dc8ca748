"""Claims about bias and variance, priors, penalties and dropout."""

import itertools

import torch
from torch import Tensor

from deepcanon.claims.experiment import Finding, above, claim, every, over_seeds
from deepcanon.claims.problems import descend, legendre
from deepcanon.foundations.bias_variance import decompose
from deepcanon.foundations.initialization import xavier
from deepcanon.foundations.losses import squared_error
from deepcanon.foundations.optimizers import GradientDescent
from deepcanon.foundations.ridge_regression import l2, map_loss, penalty, ridge
from deepcanon.foundations.risk import empirical_risk
from deepcanon.layers.dropout import Dropout


def polynomial(x: Tensor, y: Tensor, degree: int):
    """The polynomial of least squares, one for each column of y."""
    weights = torch.linalg.lstsq(legendre(x, degree), y).solution
    return lambda x: legendre(x, degree) @ weights


@claim("C-014", answer="yes")
def error_is_variance_and_bias() -> Finding:
    """The expected error is variance plus squared bias; overfitted models differ much between data sets,
    underfitted ones look alike.

    Polynomials of degree 1, 3 and 12 fitted to each of 200 data sets of 30 points of sin(3 x) with noise 0.3:
    the gap of the identity, both terms, and by how much the variance grows with the degree.
    """
    def experiment(seed: int) -> dict[str, float]:
        x, test = (torch.linspace(-1, 1, n, dtype=torch.float64) for n in (30, 101))
        y, truth = (3 * x).sin() + 0.3 * torch.randn(200, 30, dtype=torch.float64), (3 * test).sin()
        terms = {degree: decompose(polynomial(x, y.T, degree)(test).T, truth) for degree in (1, 3, 12)}
        numbers = {"identity_gap": max((t.error - t.variance - t.bias2).abs().item() for t in terms.values())}
        for degree, t in terms.items():
            numbers |= {f"variance_{degree}": t.variance.item(), f"bias2_{degree}": t.bias2.item()}
        return numbers | {"growth_1_to_3": numbers["variance_3"] - numbers["variance_1"],
                          "growth_3_to_12": numbers["variance_12"] - numbers["variance_3"]}

    means, ends = over_seeds(experiment)
    grows = every(above(ends["growth_1_to_3"], 0.0), above(ends["growth_3_to_12"], 0.0))
    return Finding(means, every(means["identity_gap"] < 1e-10, grows), intervals=ends)


@claim("C-015", answer="yes")
def penalties_trade_variance_for_bias() -> Finding:
    """Regularization lowers the variance and raises the bias.

    Ridge regression of 5 weights on 30 points with noise 1 and penalties lambda of 0.005, 0.5, 2 and 12.5:
    the exact variance and squared bias of a weight, and how far those of 200 data sets are from them, in
    parts.
    """
    x, weight = torch.randn(30, 5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    y = x @ weight + torch.randn(200, 30, dtype=torch.float64)
    measured, gaps = {}, []
    for sigma in (10.0, 1.0, 0.5, 0.2):
        a = ridge(x, torch.eye(30, dtype=torch.float64), sigma)        # the estimate is A y
        variance, bias2 = a.square().sum() / 5, (a @ x @ weight - weight).square().mean()
        drawn = decompose(ridge(x, y.T, sigma).T, weight)
        gaps.append(abs(drawn.variance / variance - 1).item())
        lam = f"{penalty(sigma):g}"
        measured |= {f"variance_at_{lam}": variance.item(), f"bias2_at_{lam}": bias2.item()}
    variances, biases = list(measured.values())[::2], list(measured.values())[1::2]
    trades = variances == sorted(variances, reverse=True) and biases == sorted(biases)
    return Finding(measured | {"largest_gap": max(gaps)}, trades)


@claim("C-016", answer="yes")
def a_prior_is_a_penalty() -> Finding:
    """A Gaussian prior of deviation sigma on the parameters is an L2 penalty of lambda = 1 / (2 sigma^2).

    Linear regression with unit noise, sigma = 0.7, at 20 random parameters: the spread of the difference
    between the penalized loss and the negative log posterior, which should be a constant.
    """
    x, y, sigma = torch.randn(40, 6, dtype=torch.float64), torch.randn(40, dtype=torch.float64), 0.7
    zero = torch.zeros((), dtype=torch.float64)
    prior, noise = (torch.distributions.Normal(zero, width) for width in (sigma, 1.0))
    gaps = []
    for theta in 3 * torch.randn(20, 6, dtype=torch.float64):
        log_posterior = noise.log_prob(y - x @ theta).sum() + prior.log_prob(theta).sum()
        gaps.append(map_loss(squared_error(x @ theta, y).sum() / 2, theta, sigma=sigma) + log_posterior)
    gaps = torch.stack(gaps)
    spread = (gaps.max() - gaps.min()).item()
    measured = {"lambda": penalty(sigma), "spread": spread, "constant": gaps.mean().item()}
    return Finding(measured, spread < 1e-8, "The penalty is added to the negative log-likelihood.")


@claim("C-020", answer="no")
def xavier_regularizes_nothing() -> Finding:
    """Dropout, an L2 penalty and Xavier initialization are all ways to regularize parameters.

    Linear regression on 60 points: how far descent from Xavier weights ends from the least squares solution,
    and with an L2 penalty of 0.3; then the mean gradient under dropout of 0.3, over 10,000 masks an example:
    its difference from the gradient without, and how far that is from 2 p / (1 - p) mean(x^2) w.
    """
    x, y = (torch.randn(60, d, dtype=torch.float64) for d in (4, 1))
    least, start = torch.linalg.lstsq(x, y).solution, xavier(torch.empty(1, 4)).double().T

    def loss(w: Tensor, lam: float = 0.0) -> Tensor:
        return squared_error(x @ w, y).mean() + lam * l2(w)

    def end(lam: float) -> Tensor:
        return descend(lambda p: GradientDescent(p, 0.2), lambda w: loss(w, lam), start, 500)[-1]

    w, p = start.clone().requires_grad_(), 0.3
    dropped = squared_error(Dropout(p)(x.repeat(10_000, 1, 1)) @ w, y.expand(10_000, -1, -1)).mean()
    shift = torch.autograd.grad(dropped, w)[0] - torch.autograd.grad(loss(w), w)[0]
    extra = 2 * p / (1 - p) * x.square().mean(0).unsqueeze(1) * start
    measured = {"shift_by_xavier": (end(0.0) - least).abs().max().item(),
                "shift_by_penalty": (end(0.3) - least).abs().max().item(),
                "gradient_shift_by_dropout": shift.norm().item(),
                "dropout_error": (shift - extra).abs().max().item()}
    return Finding(measured, measured["shift_by_xavier"] > 1e-6,
                   "Xavier's weights are a start, for the sake of convergence; the minimum stays.")


@claim("C-021", answer="yes")
def dropout_scales_once() -> Finding:
    """Of five ways to scale dropout of probability p, two are right: (D) divide by 1 - p in training and
    leave the input in use; (E) mask in training and multiply by 1 - p in use.

    The input 10 with p = 0.2 and masks d: mean output in training and in use over all masks of 3 units, and
    its deviation in use. (A) d/(1-p) in both, (B) d/p in both, (C) p in training and d/p in use; D and E as
    the library scales.
    """
    p, x = 0.2, 10.0

    def scale(inverted: bool) -> float:
        """What the layer multiplies a kept unit by."""
        return Dropout(p, inverted=inverted)(torch.full((100,), x)).max().item() / x

    def used(inverted: bool) -> float:
        return Dropout(p, inverted=inverted).eval()(torch.tensor([x])).item()

    ways = {"A": (masked(1 / (1 - p), p, x), masked(1 / (1 - p), p, x)),
            "B": (masked(1 / p, p, x), masked(1 / p, p, x)),
            "C": ((p * x, 0.0), masked(1 / p, p, x)),
            "D": (masked(scale(True), p, x), (used(True), 0.0)),
            "E": (masked(scale(False), p, x), (used(False), 0.0))}
    measured, right = {}, set()
    for name, ((training, _), (use, deviation)) in ways.items():
        measured |= {f"{name}_training": training, f"{name}_use": use, f"{name}_use_deviation": deviation}
        right |= {name} if abs(training - use) < 1e-5 and deviation == 0 else set()
    return Finding(measured, right == {"D", "E"})


def masked(scale: float, p: float, x: float, units: int = 3) -> tuple[float, float]:
    """Mean and deviation of one of `units` equal inputs x, each kept with probability 1 - p and scaled."""
    masks = list(itertools.product([0, 1], repeat=units))
    chances = [(1 - p) ** sum(mask) * p ** (units - sum(mask)) for mask in masks]
    outputs = [scale * x * mask[0] for mask in masks]
    mean = sum(chance * output for chance, output in zip(chances, outputs))
    return mean, sum(chance * (output - mean) ** 2 for chance, output in zip(chances, outputs)) ** 0.5


@claim("C-022", answer="yes")
def weights_are_multiplied_by_what_is_kept() -> Finding:
    """If each activation was kept with probability p in training, the weights are multiplied by 1/p at test
    time.

    The input 10 with p = 0.8, its mean over all masks in training, and what it is in use when multiplied by
    1/p, by p, and as the library's layer does it.
    """
    keep, x = 0.8, 10.0
    layer = Dropout(1 - keep, inverted=False)
    scale = layer(torch.full((100,), x)).max().item() / x
    measured = {"training": masked(scale, 1 - keep, x)[0], "times_1/p": x / keep, "times_p": keep * x,
                "layer": layer.eval()(torch.tensor([x])).item()}
    return Finding(measured, abs(measured["times_1/p"] - measured["training"]) < 1e-6,
                   "They are multiplied by p; it is in training that activations are divided by p.")


@claim("C-028", answer="yes")
def a_loss_can_regularize() -> Finding:
    """Loss functions can contribute to the regularization of parameters.

    Linear regression on 40 points, descent on the negative log-likelihood and on it with the L2 term of a
    prior of deviation 0.3: the norm of the weights that it ends at.
    """
    x = torch.randn(40, 6, dtype=torch.float64)
    y = x @ torch.randn(6, dtype=torch.float64) + torch.randn(40, dtype=torch.float64)

    def nll(theta: Tensor) -> Tensor:
        return squared_error(x @ theta, y).sum() / 2

    def ends(loss) -> Tensor:
        return descend(lambda p: GradientDescent(p, 0.01), loss, torch.zeros(6), 2000)[-1]

    penalized = ends(lambda theta: map_loss(nll(theta), theta, sigma=0.3))
    measured = {"norm_without": ends(nll).norm().item(), "norm_with": penalized.norm().item(),
                "distance_from_ridge": (penalized - ridge(x, y, 0.3)).abs().max().item()}
    return Finding(measured, measured["norm_with"] < 0.99 * measured["norm_without"])


@claim("C-029", answer="no")
def a_lower_training_loss_may_overfit() -> Finding:
    """A lower training loss implies a lower validation loss, without exception.

    Polynomials of degree 3 and 12 fitted to 20 points of sin(3 x) with noise 0.3: mean squared errors on
    these and on 1,000 new points, and by how much degree 12 is better on the first and worse on the second.
    """
    def experiment(seed: int) -> dict[str, float]:
        def draw(x: Tensor) -> tuple[Tensor, Tensor]:
            return x, (3 * x).sin() + 0.3 * torch.randn(len(x), dtype=torch.float64)

        train, new = (draw(torch.linspace(-1, 1, n, dtype=torch.float64)) for n in (20, 1000))
        numbers = {}
        for degree in (3, 12):
            fitted = polynomial(*train, degree)
            numbers[f"training_{degree}"] = empirical_risk(squared_error, fitted, *train).item()
            numbers[f"validation_{degree}"] = empirical_risk(squared_error, fitted, *new).item()
        return numbers | {"training_gain": numbers["training_3"] - numbers["training_12"],
                          "validation_loss": numbers["validation_12"] - numbers["validation_3"]}

    means, ends = over_seeds(experiment)
    overfits = every(above(ends["training_gain"], 0.0), above(ends["validation_loss"], 0.0))
    return Finding(means, None if overfits is None else not overfits, intervals=ends)
