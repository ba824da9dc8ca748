"""t-SNE (van der Maaten & Hinton 2008, Visualizing data using t-SNE).

    p_j|i = exp(-b_i d_ij) / sum_{k != i} exp(-b_i d_ik),    d_ij = ||x_i - x_j||^2,    H(p_.|i) = ln(perplexity)
    p_ij = (p_j|i + p_i|j) / 2N,        q_ij = (1 + ||y_i - y_j||^2)^-1 / Z
    KL(P || Q) = sum_ij p_ij log(p_ij / q_ij)
    dKL/dy_i = 4 sum_j (p_ij - q_ij) (y_i - y_j) (1 + ||y_i - y_j||^2)^-1

Exact, O(N^2) in time and memory: up to a few thousand points. P is exaggerated at first, so that clusters
form; the step of each coordinate has a gain of its own, which grows while its gradient keeps its sign
(Jacobs 1988). N points, D dimensions, E of the map.
"""

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from deepcanon.layers.checks import finite

MOST = 10_000  # points: their distances take 400 MB
EXAGGERATION, EARLY = 12.0, 250  # factor of P, steps that have it


class TSNE:
    """A map of points that keeps neighbours together.

    Args:
        dim: E.
        perplexity: effective number of neighbours of a point, above 1 and below N.
        steps: of gradient descent.
        rate: of a step, by default N / 48 (Belkina et al. 2019), at least 50.
    """

    def __init__(
        self, dim: int = 2, *, perplexity: float = 30.0, steps: int = 1_000, rate: float | None = None
    ):
        if not (dim >= 1 and perplexity > 1 and steps >= 1 and (rate is None or rate > 0)):
            raise ValueError(
                f"expected dim and steps of 1 or more, perplexity above 1 and rate above 0, got {dim}, "
                f"{steps}, "
                f"{perplexity} and {rate}"
            )
        self.dim, self.perplexity, self.steps, self.rate = dim, perplexity, steps, rate
        self.kl = math.nan

    @torch.no_grad()
    def fit(self, x: Float[Tensor, "N D"], generator: Generator | None = None) -> Float[Tensor, "N E"]:
        """The map of x; `kl` is then KL(P || Q) in nats.

        Raises:
            ValueError: no points (N, D), values that are not finite, not more points than the perplexity,
                or more than `MOST`.
        """
        if x.ndim != 2 or not self.perplexity < len(x) <= MOST:
            raise ValueError(
                f"expected points (N, D), more than the perplexity of {self.perplexity:g} and at most "
                f"{MOST:,}, "
                f"got {tuple(x.shape)}"
            )
        x = finite(x.float())
        p = joint_probabilities(x, self.perplexity)
        y = start(x, self.dim, generator)
        rate = self.rate or max(len(x) / EXAGGERATION / 4, 50.0)
        update, gain = torch.zeros_like(y), torch.ones_like(y)
        for step in range(self.steps):
            early = step < min(EARLY, self.steps // 2)
            slope = kl_gradient(EXAGGERATION * p if early else p, y)
            gain = torch.where(slope * update < 0, gain + 0.2, gain * 0.8).clamp(min=0.01)
            update = (0.5 if early else 0.8) * update - rate * gain * slope
            y = y + update
        self.kl = float(kl_divergence(p, y))
        return y - y.mean(0)


def squared_distances(x: Float[Tensor, "N D"]) -> Float[Tensor, "N N"]:
    """||x_i - x_j||^2, exactly 0 on the diagonal."""
    x = x - x.mean(0)
    size = x.square().sum(1)
    return (size[:, None] + size - 2 * x @ x.T).clamp(min=0).fill_diagonal_(0)


def conditional_probabilities(d: Float[Tensor, "N N"], perplexity: float) -> Float[Tensor, "N N"]:
    """p_j|i in row i, the precisions b_i found by bisection of the entropy, in float64."""
    n, wanted = len(d), math.log(perplexity)
    d = d.double()
    off = d.masked_fill(torch.eye(n, dtype=torch.bool, device=d.device), math.inf)
    off = off - off.amin(1, keepdim=True)  # the nearest neighbour at 0
    low, high = d.new_zeros(n), d.new_full((n,), math.inf)
    b = 1 / off.masked_fill(off.isinf(), 0).mean(1).clamp(min=1e-300)
    for _ in range(100):
        p = (-b[:, None] * off).softmax(1)
        entropy = torch.special.entr(p).sum(1)
        flat = entropy > wanted  # b is too small
        low, high = torch.where(flat, b, low), torch.where(flat, high, b)
        b = torch.where(high.isinf(), 2 * b, (low + high) / 2)
    return p


def joint_probabilities(x: Float[Tensor, "N D"], perplexity: float) -> Float[Tensor, "N N"]:
    """p_ij: symmetric, sums to 1."""
    p = conditional_probabilities(squared_distances(x.double()), perplexity)
    return ((p + p.T) / (2 * len(p))).to(x.dtype)


def kernel(y: Float[Tensor, "N E"]) -> Float[Tensor, "N N"]:
    """(1 + ||y_i - y_j||^2)^-1, 0 on the diagonal."""
    return (1 + squared_distances(y)).reciprocal().fill_diagonal_(0)


def kl_divergence(p: Float[Tensor, "N N"], y: Float[Tensor, "N E"]) -> Float[Tensor, ""]:
    """KL(P || Q) in nats."""
    w = kernel(y)
    q = (w / w.sum()).clamp(min=torch.finfo(y.dtype).tiny)
    return torch.special.xlogy(p, p).sum() - (p * q.log()).sum()


def kl_gradient(p: Float[Tensor, "N N"], y: Float[Tensor, "N E"]) -> Float[Tensor, "N E"]:
    """dKL/dy; of an exaggerated P, which sums to more than 1, with the attraction alone exaggerated."""
    w = kernel(y)
    force = (p - w / w.sum()) * w  # (N, N)
    return 4 * (force.sum(1, keepdim=True) * y - force @ y)


def start(x: Float[Tensor, "N D"], dim: int, generator: Generator | None) -> Float[Tensor, "N E"]:
    """The first principal components, scaled to a deviation of 1e-4 (Kobak & Berens 2019); without as many
    axes, noise."""
    if min(x.shape) <= dim:
        return 1e-4 * torch.randn(len(x), dim, generator=generator).to(x)
    x = x - x.mean(0)
    y = x @ torch.linalg.svd(x, full_matrices=False).Vh[:dim].T
    return 1e-4 * y / y[:, 0].std().clamp(min=torch.finfo(y.dtype).tiny)
