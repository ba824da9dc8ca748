"""Gibbs sampling (Geman & Geman 1984, "Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of images").

    for i = 1 .. D:    x_i ~ p(x_i | x_1, ..., x_{i-1}, x_{i+1}, ..., x_D)

It is Metropolis-Hastings with q = p(x_i | the rest), whose ratio p(x') q(x | x') / (p(x) q(x' | x)) is 1: every proposal is accepted.
B chains, D coordinates, S sweeps.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Normal

from deepcanon.energy.hopfield import couplings

Conditional = Callable[[Tensor, int], Distribution]  # (x (B, D), i) -> the law of x_i given the other coordinates, for each chain


@torch.no_grad()
def gibbs(conditional: Conditional, x: Float[Tensor, "B D"], *, sweeps: int) -> Float[Tensor, "S B D"]:
    """Chains from x after each of the sweeps through all coordinates."""
    x, draws = x.clone(), []
    for _ in range(sweeps):
        for i in range(x.shape[1]):
            x[:, i] = conditional(x, i).sample()
        draws.append(x.clone())
    return torch.stack(draws)


def gaussian(mean: Float[Tensor, "D"], precision: Float[Tensor, "D D"]) -> Conditional:
    """N(mean, precision^-1):  x_i | rest ~ N(m_i - sum_{j != i} L_ij (x_j - m_j) / L_ii, 1 / L_ii), L the precision.

    Raises:
        ValueError: not a symmetric matrix with eigenvalues above 0.
    """
    if not torch.allclose(precision, precision.T) or torch.linalg.cholesky_ex(precision).info:
        raise ValueError("expected a symmetric precision whose eigenvalues are above 0")
    return partial(gaussian_given_rest, mean=mean, precision=precision)


def gaussian_given_rest(x: Float[Tensor, "B D"], i: int, *, mean: Float[Tensor, "D"],
                        precision: Float[Tensor, "D D"]) -> Normal:
    """The law of x_i under `gaussian`."""
    pull = (x - mean) @ precision[i] / precision[i, i]
    return Normal(x[:, i] - pull, precision[i, i].rsqrt().expand(len(x)), validate_args=False)


def ising(coupling: Float[Tensor, "D D"], field: Float[Tensor, "D"]) -> Conditional:
    """E(x) = -x' J x / 2 - h' x on {+1, -1}^D, J symmetric with a zero diagonal:  p(x_i = +1 | rest) = s(2 (J_i x + h_i)), s the logistic sigmoid.

    Raises:
        ValueError: another J.
    """
    couplings(coupling)
    return partial(spin_given_rest, coupling=coupling, field=field)


def spin_given_rest(x: Float[Tensor, "B D"], i: int, *, coupling: Float[Tensor, "D D"],
                    field: Float[Tensor, "D"]) -> "Spin":
    """The law of x_i under `ising`."""
    return Spin(2 * (x @ coupling[i] + field[i]))


class Spin(Distribution):
    """+1 with probability s(logit), else -1; logit (B,)."""

    def __init__(self, logit: Tensor):
        self.logit = logit
        super().__init__(logit.shape, validate_args=False)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        logit = self.logit.expand(self._extended_shape(torch.Size(sample_shape)))
        return 2 * torch.bernoulli(logit.sigmoid()) - 1

    def log_prob(self, value: Tensor) -> Tensor:
        return F.logsigmoid(value * self.logit)
