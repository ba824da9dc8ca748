"""Bagging (Breiman 1996, "Bagging predictors").

    f(x) = 1/M sum_j f_j(x),     f_j learned from D_j,  N draws with replacement from the N examples of D

or the majority of the f_j(x) when they are labels. An example is in D_j with probability 1 - (1 - 1/N)^N -> 1 - 1/e = 63.2 %. Averaging lowers the
variance and leaves the bias: good for learners of high variance.
M members, N examples, D features.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

Predict = Callable[[Tensor], Tensor]  # (N, D) -> labels (N,) or values (N, ...)
Learn = Callable[[Tensor, Tensor], Predict]  # (x, y) -> what was learned


def bootstrap(count: int, generator: torch.Generator | None = None) -> Int[Tensor, "N"]:
    """Row numbers of a bootstrap sample: `count` draws with replacement from 0..count - 1."""
    if count < 1:
        raise ValueError(f"expected one example or more to draw from, got {count}")
    return torch.randint(count, (count,), generator=generator)


class Bagging:
    """Learners of one kind, each on its own bootstrap sample.

    Args:
        learn: (x, y) -> predict, the base learner.
        num_members: M.
        generator: of the samples.
    """

    def __init__(self, learn: Learn, num_members: int = 10, *, generator: torch.Generator | None = None):
        if num_members < 1:
            raise ValueError(f"an ensemble needs one member or more, got {num_members}")
        self.learn, self.num_members, self.generator = learn, num_members, generator
        self.members: list[Predict] = []

    def fit(self, x: Shaped[Tensor, "N *D"], y: Shaped[Tensor, "N *K"]) -> "Bagging":
        """Learns every member; returns itself. Raises ValueError for x and y of different lengths."""
        if len(x) != len(y):
            raise ValueError(f"expected as many targets as examples, got {len(x)} examples and {len(y)} targets")
        samples = [bootstrap(len(x), self.generator) for _ in range(self.num_members)]
        self.members = [self.learn(x[rows], y[rows]) for rows in samples]
        return self

    def mean(self, x: Shaped[Tensor, "N *D"]) -> Float[Tensor, "N *K"]:
        """The average of the members' values; of labels 0 and 1, the share of ones."""
        return torch.stack([predict(x) for predict in self.members]).double().mean(0)

    def vote(self, x: Shaped[Tensor, "N *D"]) -> Int[Tensor, "N"]:
        """The majority of the members' labels; the smallest label where there are several."""
        return torch.stack([predict(x) for predict in self.members]).mode(0).values
