"""Claims about averages of models: predictions, parameters, bootstrap samples and rounds of boosting."""

import math

import torch
from sklearn.tree import DecisionTreeRegressor
from torch import Tensor, nn

from deepcanon.claims.experiment import Finding, above, below, claim, every, over_seeds
from deepcanon.data import images
from deepcanon.engine import SGD, Adam, evaluate, fit
from deepcanon.foundations.bagging import Bagging
from deepcanon.foundations.bias_variance import decompose
from deepcanon.foundations.boosting import AdaBoost
from deepcanon.foundations.ensembles import Ensemble
from deepcanon.foundations.initialization import initialize, kaiming
from deepcanon.foundations.snapshots import Snapshots, average_weights
from deepcanon.nets.members import StackedMLPs
from deepcanon.nets.perceptron import mlp
from deepcanon.vision.classify import Classifier


def perceptron() -> nn.Sequential:
    """Three hidden layers on scikit-learn's digits."""
    return nn.Sequential(nn.Flatten(), initialize(mlp(64, 32, 32, 32, 10), kaiming))


@claim("C-045", answer="yes")
def independent_models_average_as_predictors() -> Finding:
    """Averaging the predictions of independent models almost always works; averaging their parameters never
    does.

    Five perceptrons of three hidden layers from five starts on digits, five seeds: accuracy of a member, of
    the mean
    prediction and of the net of the mean weights; what averaging predictions gains in negative
    log-likelihood, and the
    share of test images on which it loses, which is zero by Jensen's inequality.
    """
    test = images("digits", split="test", batch=360)

    def experiment(seed: int) -> dict[str, float]:
        method = Ensemble(StackedMLPs([perceptron() for _ in range(5)]))
        data = images("digits", batch=64, seed=seed)
        results = fit(method, data, Adam(3e-3), steps=300, seed=seed, evaluate=test).results
        with torch.no_grad():
            gains = method.metrics(next(iter(test)))["nll_gain"]
        averaged = evaluate(Classifier(average_weights(method.members.apart())), test)["accuracy"]
        return {"member_accuracy": results["member_accuracy"], "accuracy": results["accuracy"],
                "averaged_accuracy": averaged, "nll_gain": results["nll_gain"],
                "jensen_violations": (gains < -1e-5).float().mean().item()}

    means, ends = over_seeds(experiment)
    works = every(above(ends["nll_gain"], 0.0), means["jensen_violations"] == 0)
    return Finding(means, every(works, below(ends["averaged_accuracy"], 0.5)),
                   "Of nets with several hidden layers; with fewer, their mean weights know more.", ends)


@claim("C-046", answer="yes")
def snapshots_average_as_weights() -> Finding:
    """Of snapshots of one training run, averaging predictions always works and averaging parameters often
    does, so that
    only one model has to be kept.

    A perceptron on digits at a constant rate, its weights after each of the last ten of 27 epochs, five
    seeds: what the
    mean prediction gains in negative log-likelihood over the mean snapshot, and the accuracy of the net of
    the mean
    weights less that of the last net; at most a point may be lost.
    """
    test = images("digits", split="test", batch=360)

    def experiment(seed: int) -> dict[str, float]:
        method = Snapshots(perceptron(), every=22, num_members=10)
        data, optimizers = images("digits", batch=64, seed=seed), {"net": SGD(0.05, momentum=0.9)}
        results = fit(method, data, optimizers, steps=594, seed=seed, evaluate=test).results
        names = ("nll_gain", "last_accuracy", "averaged_accuracy", "averaged_gain")
        return {name: results[name] for name in names}

    means, ends = over_seeds(experiment)
    works = every(above(ends["nll_gain"], 0.0), above(ends["averaged_gain"], -0.01))
    return Finding(means, works, intervals=ends)


@claim("C-047", answer="yes")
def bagging_and_boosting() -> Finding:
    """Bagging reduces the variance of models; boosting reduces their bias, and possibly their variance.

    Trees of depth 4 on 40 points of a noisy sine, alone and 15 bagged; stumps on 100 points inside and
    outside of a circle, alone and 40 boosted; five seeds: variance and squared bias after over before, over
    20 and 12 data sets.
    """
    def bagged(seed: int) -> dict[str, float]:
        new = torch.linspace(0.05, 0.95, 50, dtype=torch.float64)[:, None]
        sets = [noisy_sine() for _ in range(20)]
        single = [regression_tree(x, y)(new) for x, y in sets]
        several = [Bagging(regression_tree, 15).fit(x, y).mean(new) for x, y in sets]
        return ratios(single, several, (2 * math.pi * new[:, 0]).sin(), "bagging")

    def boosted(seed: int) -> dict[str, float]:
        new, truth = circle(300)
        sets = [circle(100) for _ in range(12)]
        single, several = ([AdaBoost(rounds).fit(x, y).predict(new).double() for x, y in sets]
                           for rounds in (1, 40))
        return ratios(single, several, truth.double(), "boosting")

    means, ends = over_seeds(lambda seed: bagged(seed) | boosted(seed))
    reduces = every(below(ends["bagging_variance"], 1.0), below(ends["boosting_bias2"], 1.0))
    return Finding(means, reduces, intervals=ends)


def ratios(before: list[Tensor], after: list[Tensor], truth: Tensor, name: str) -> dict[str, float]:
    """Variance and squared bias of predictions of several data sets, after in parts of before."""
    first, then = (decompose(torch.stack(predictions), truth) for predictions in (before, after))
    return {f"{name}_variance": (then.variance / first.variance).item(),
            f"{name}_bias2": (then.bias2 / first.bias2).item()}


def regression_tree(x: Tensor, y: Tensor):
    """A learner for `Bagging`."""
    fitted = DecisionTreeRegressor(max_depth=4, random_state=0).fit(x, y)
    return lambda x: torch.as_tensor(fitted.predict(x))


def noisy_sine() -> tuple[Tensor, Tensor]:
    """40 points of sin(2 pi x) with noise 0.3."""
    x = torch.rand(40, 1, dtype=torch.float64)
    return x, (2 * math.pi * x[:, 0]).sin() + 0.3 * torch.randn(40, dtype=torch.float64)


def circle(n: int) -> tuple[Tensor, Tensor]:
    """Points of the plane, and whether they lie outside a circle."""
    x = torch.randn(n, 2, dtype=torch.float64)
    return x, (x.norm(dim=1) > 1.18).long()
