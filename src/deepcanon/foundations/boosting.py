"""Boosting: AdaBoost (Freund & Schapire 1997) for K classes, SAMME (Zhu, Zou, Rosset & Hastie 2009, "Multi-class AdaBoost"), on decision stumps.

    e_t = sum_i w_i [h_t(x_i) != y_i]                            weighted error of the learner h_t, sum_i w_i = 1
    a_t = log((1 - e_t) / e_t) + log(K - 1)                      its say
    w_i <- w_i exp(a_t [h_t(x_i) != y_i]) / Z                    misclassified examples weigh more
    f(x) = argmax_k sum_t a_t [h_t(x) = k]

After the update h_t is right as often as guessing: its weighted error is (K - 1) / K, for two classes 1/2. For two classes the training error is at
most prod_t 2 sqrt(e_t (1 - e_t)), so that learners a little better than chance drive it to zero: boosting lowers the bias.
A stump asks one question, x_j <= s: the one of least weighted Gini impurity, sum_sides W (1 - sum_k p_k^2), W the weight of a side and p_k the share
of a class in it; it answers each side's heaviest class.
N examples, D features, K classes, T rounds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

Predict = Callable[[Tensor], Tensor]  # (N, D) -> labels (N,)
Learn = Callable[[Tensor, Tensor, Tensor], Predict]  # (x, y, weights) -> what was learned


@dataclass(frozen=True)
class Stump:
    """left where x[:, feature] <= threshold, else right."""

    feature: int
    threshold: float
    left: int
    right: int

    def __call__(self, x: Float[Tensor, "N D"]) -> Int[Tensor, "N"]:
        return torch.where(x[:, self.feature] <= self.threshold, self.left, self.right)


def stump(x: Float[Tensor, "N D"], y: Int[Tensor, "N"], weights: Float[Tensor, "N"]) -> Stump:
    """The best question; thresholds lie midway between neighbouring values. Where no feature varies, the heaviest class is the answer."""
    x, order = x.sort(0)                                                         # (N, D)
    weight = F.one_hot(y).to(weights.dtype) * weights[:, None]                   # (N, K)
    left = weight[order].cumsum(0)[:-1]                                          # (N - 1, D, K): weight of each class before the gap
    right = weight.sum(0) - left
    impurity = weighted_gini(left) + weighted_gini(right)                        # (N - 1, D)
    impurity = impurity.where(x[1:] > x[:-1], math.inf)                          # no gap between equal values
    if not impurity.isfinite().any():
        heaviest = int(weight.sum(0).argmax())
        return Stump(0, 0.0, heaviest, heaviest)
    gap, feature = divmod(int(impurity.argmin()), x.shape[1])
    threshold = float((x[gap, feature] + x[gap + 1, feature]) / 2)
    return Stump(feature, threshold, int(left[gap, feature].argmax()), int(right[gap, feature].argmax()))


def weighted_gini(weight: Float[Tensor, "*N K"]) -> Float[Tensor, "*N"]:
    """W (1 - sum_k p_k^2) of sides with these weights of the classes, W their sum."""
    total = weight.sum(-1)
    return total - weight.square().sum(-1) / total.clamp_min(1e-300)


class AdaBoost:
    """Learners in a row, each on what those before got wrong.

    Args:
        num_rounds: T, at most; a learner without error, or no better than guessing, ends the row.
        learn: (x, y, weights) -> predict, the base learner, of labels that are numbered from 0.
    """

    def __init__(self, num_rounds: int = 50, *, learn: Learn = stump):
        if num_rounds < 1:
            raise ValueError(f"an ensemble needs one round or more, got {num_rounds}")
        self.num_rounds, self.learn, self.num_classes = num_rounds, learn, 0
        self.labels = torch.empty(0)
        self.learners: list[Predict] = []
        self.errors: list[float] = []
        self.says: list[float] = []

    def fit(self, x: Float[Tensor, "N D"], y: Int[Tensor, "N"]) -> "AdaBoost":
        """Runs the rounds; returns itself. Raises ValueError for labels of one class, or a first learner that is no better than guessing."""
        if x.ndim != 2 or y.shape != x.shape[:1] or not len(y):
            raise ValueError(f"expected x (N, D) and labels (N,), got {tuple(x.shape)} and {tuple(y.shape)}")
        self.labels, y = y.unique(return_inverse=True)                   # of the classes, and their places
        self.num_classes, self.learners, self.errors, self.says = len(self.labels), [], [], []
        if self.num_classes < 2:
            raise ValueError(f"expected examples of two classes or more, got {len(y)} of the class {int(self.labels[0])}")
        weights = torch.full((len(y),), 1 / len(y), dtype=torch.float64)
        for _ in range(self.num_rounds):
            learner = self.learn(x, y, weights)
            wrong = learner(x) != y
            error = float(weights[wrong].sum())
            if error >= 1 - 1 / self.num_classes:
                break
            if error == 0:                                                       # which decides alone
                self.learners, self.errors, self.says = [learner], [error], [1.0]
                break
            self.learners.append(learner)
            self.errors.append(error)
            self.says.append(math.log((1 - error) / error) + math.log(self.num_classes - 1))
            weights = reweighted(weights, wrong, self.says[-1])
        if not self.learners:
            raise ValueError("the base learner is no better than guessing")
        return self

    def scores(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N K"]:
        """sum_t a_t [h_t(x) = k], a column for each label in ascending order."""
        votes = torch.stack([F.one_hot(learner(x), self.num_classes) for learner in self.learners])  # (T, N, K)
        return torch.einsum("t,tnk->nk", torch.tensor(self.says, dtype=torch.float64), votes.double())

    def predict(self, x: Float[Tensor, "N D"]) -> Int[Tensor, "N"]:
        """The label of the class with the most say."""
        return self.labels[self.scores(x).argmax(1)]

    def error_bound(self) -> float:
        """prod_t 2 sqrt(e_t (1 - e_t)), above the training error of two classes."""
        if self.num_classes != 2:
            raise ValueError(f"the bound is one for two classes, not for {self.num_classes}")
        return math.prod(2 * math.sqrt(e * (1 - e)) for e in self.errors)


def reweighted(weights: Float[Tensor, "N"], wrong: Tensor, say: float) -> Float[Tensor, "N"]:
    """w_i exp(a [wrong_i]) / Z."""
    weights = weights * (say * wrong.to(weights)).exp()
    return weights / weights.sum()
