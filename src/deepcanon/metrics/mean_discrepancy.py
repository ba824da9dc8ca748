"""Maximum mean discrepancy (Gretton et al. 2012, "A kernel two-sample test") and kernel inception distance (Binkowski et al. 2018, arXiv 1801.01401).

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y)          x, x' ~ P,   y, y' ~ Q;   0 iff P = Q for a characteristic kernel

    unbiased   means over pairs of different points; it may fall below 0
    biased     means over all pairs; its root is the distance of the mean features and, when P = Q and 0 <= k <= K, exceeds
               sqrt(2 K / n) (1 + sqrt(2 log 1/a)) with probability below a, for n points of each (corollary 16)

    gaussian    k(x, y) = exp(-||x - y||^2 / (2 w^2))
    polynomial  k(x, y) = (x y / F + 1)^3;    KID = unbiased MMD^2 of an image network's features

Sums are accumulated in float64, a block of rows at a time. N and M points, F features.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from deepcanon.metrics.generation import comparable

Kernel = Callable[[Tensor, Tensor], Tensor]     # (N, F), (M, F) -> (N, M)
BLOCK = 1_024


def gaussian(width: float) -> Kernel:
    """exp(-||x - y||^2 / (2 w^2)), at most 1.

    Raises:
        ValueError: a width that is not above 0.
    """
    if not width > 0:
        raise ValueError(f"expected a width above 0, got {width}")
    return partial(gaussian_kernel, width=width)


def polynomial(degree: int = 3, offset: float = 1.0) -> Kernel:
    """(x y / F + offset)^degree."""
    return partial(polynomial_kernel, degree=degree, offset=offset)


def gaussian_kernel(x: Float[Tensor, "N F"], y: Float[Tensor, "M F"], *,
                    width: float) -> Float[Tensor, "N M"]:
    """k(x, y) of `gaussian`."""
    return torch.exp(-torch.cdist(x, y).square() / (2 * width**2))


def polynomial_kernel(x: Float[Tensor, "N F"], y: Float[Tensor, "M F"], *, degree: int,
                      offset: float) -> Float[Tensor, "N M"]:
    """k(x, y) of `polynomial`."""
    return (x @ y.T / x.shape[1] + offset) ** degree


def mmd_squared(x: Float[Tensor, "N F"], y: Float[Tensor, "M F"], kernel: Kernel) -> Float[Tensor, ""]:
    """The unbiased estimate of MMD^2.

    Raises:
        ValueError: not two matrices of as many columns and two rows or more, nan or inf among the features.
    """
    x, y = check(x, y)
    among, between = (within(z, kernel) for z in (x, y)), total(x, y, kernel) / (len(x) * len(y))
    return sum((s / (len(z) * (len(z) - 1)) for s, z in zip(among, (x, y), strict=True)), -2 * between)


def mmd(x: Float[Tensor, "N F"], y: Float[Tensor, "M F"], kernel: Kernel) -> Float[Tensor, ""]:
    """The root of the biased estimate, 0 or more.

    Raises:
        ValueError: not two matrices of as many columns and two rows or more, nan or inf among the features.
    """
    x, y = check(x, y)
    squared = total(x, x, kernel) / len(x) ** 2 + total(y, y, kernel) / len(y) ** 2 - 2 * total(x, y, kernel) / (len(x) * len(y))
    return squared.clamp(min=0).sqrt()


def mmd_bound(n: int, level: float = 0.05, largest: float = 1.0) -> float:
    """What `mmd` of two samples of n points exceeds with probability below `level` if they come from one distribution; `largest` is K."""
    return math.sqrt(2 * largest / n) * (1 + math.sqrt(2 * math.log(1 / level)))


def kid(features: Float[Tensor, "N F"], reference: Float[Tensor, "M F"]) -> Float[Tensor, ""]:
    """Unbiased MMD^2 under the cubic kernel: in the mean 0 for two samples of one distribution, whatever their sizes."""
    return mmd_squared(features, reference, polynomial())


def within(x: Float[Tensor, "N F"], kernel: Kernel) -> Float[Tensor, ""]:
    """sum k(x_i, x_j) over pairs of different rows."""
    own = sum((kernel(rows, rows).diagonal().sum() for rows in x.split(BLOCK)), x.new_zeros(()))
    return total(x, x, kernel) - own


def total(x: Float[Tensor, "N F"], y: Float[Tensor, "M F"], kernel: Kernel) -> Float[Tensor, ""]:
    """sum k(x_i, y_j) over all pairs."""
    return sum((kernel(rows, y).sum() for rows in x.split(BLOCK)), x.new_zeros(()))


def check(x: Float[Tensor, "N F"], y: Float[Tensor, "M F"]) -> tuple[Float[Tensor, "N F"], Float[Tensor, "M F"]]:
    """x and y in float64, if they are samples."""
    if min(len(x), len(y)) < 2:
        raise ValueError(f"expected features (N, F) of two examples or more, got {tuple(x.shape)} and {tuple(y.shape)}")
    return comparable(x, y)
