"""Generative classifier (Fisher 1936; generative against discriminative: Ng & Jordan 2001).

    P(y|x) = P(x|y) P(y) / sum_c P(x|c) P(c),    P(x|c) = N(x; mu_c, S),    P(c) = N_c / N

A discriminative classifier estimates P(y|x) and nothing else; this one estimates P(x|y) and P(y), from which it can also draw new x. With one
covariance S for all classes the quadratic terms cancel, and the posterior is the softmax of linear scores (linear discriminant analysis):

    s_c = mu_c' S^-1 x - mu_c' S^-1 mu_c / 2 + log P(c)

N examples, D features, K classes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from deepcanon.layers.checks import channels, finite


@dataclass(frozen=True)
class GaussianClassifier:
    """Gaussian classes that share a covariance.

    Args:
        prior: P(c), positive, summing to 1.
        mean: mu_c.
        covariance: S, symmetric with positive variance in every direction.

    Raises:
        ValueError: a prior or a covariance that is none.
    """

    prior: Float[Tensor, "K"]
    mean: Float[Tensor, "K D"]
    covariance: Float[Tensor, "D D"]

    def __post_init__(self):
        if self.mean.shape != (len(self.prior), len(self.covariance)):
            raise ValueError(f"expected means ({len(self.prior)}, {len(self.covariance)}), got {tuple(self.mean.shape)}")
        if not (self.prior > 0).all() or (self.prior.sum() - 1).abs() > 1e-5:
            raise ValueError(f"expected positive class probabilities that sum to 1, got {self.prior.tolist()}")
        scale = self.covariance.diagonal().sqrt()
        spread = torch.linalg.eigvalsh(self.covariance / (scale * scale[:, None]).clamp(min=1e-300))   # ascending
        if not (scale > 0).all() or spread[0] <= len(spread) * torch.finfo(spread.dtype).eps * spread[-1]:
            raise ValueError("the covariance has a direction without positive variance: a feature is constant or follows from others")

    @classmethod
    def fit(cls, x: Float[Tensor, "N D"], y: Int[Tensor, "N"]) -> "GaussianClassifier":
        """Maximum likelihood: frequencies, class means, the covariance around them, in float64.

        Raises:
            ValueError: not one label a row of x, nan or inf, a class without examples, or fewer independent examples than features.
        """
        if x.ndim != 2 or y.shape != x.shape[:1] or not len(y) or y.min() < 0:
            raise ValueError(f"expected x (N, D) and labels 0..K-1 (N,), got {tuple(x.shape)} and {tuple(y.shape)}")
        x = finite(x).double()
        count = y.bincount().to(x)
        if not (count > 0).all():
            raise ValueError(f"class {int(count.argmin())} of 0..{len(count) - 1} has no example")
        mean = x.new_zeros(len(count), x.shape[1]).index_add(0, y, x) / count.unsqueeze(1)
        rest = x - mean[y]
        return cls(count / len(y), mean, rest.T @ rest / len(y))

    def log_joint(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N K"]:
        """log P(x, c) = log P(x|c) + log P(c), nats."""
        x = channels(x, self.mean.shape[1]).to(self.mean)
        return torch.distributions.MultivariateNormal(self.mean, self.covariance).log_prob(x.unsqueeze(1)) + self.prior.log()

    def predict(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N K"]:
        """P(c|x), by Bayes' rule."""
        return self.log_joint(x).softmax(1)

    def log_prob(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N"]:
        """log P(x), nats: how likely the input is at all, which no discriminative classifier knows."""
        return self.log_joint(x).logsumexp(1)

    def scores(self, x: Float[Tensor, "N D"]) -> Float[Tensor, "N K"]:
        """s_c, linear in x; the posterior is their softmax."""
        weight = torch.linalg.solve(self.covariance, self.mean.T)                # (D, K)
        return x.to(weight) @ weight - (self.mean.T * weight).sum(0) / 2 + self.prior.log()

    def sample(self, y: Int[Tensor, "N"]) -> Float[Tensor, "N D"]:
        """One x ~ P(x|y) for each label."""
        return torch.distributions.MultivariateNormal(self.mean[y], self.covariance).sample()
