"""Expectations by sampling (Metropolis & Ulam 1949, "The Monte Carlo method"; Mohamed et al. 2020, arXiv 1906.10652).

    E_{x~p}[f(x)]                 ~  1/N sum_i f(x_i),                                        x_i ~ p,    standard error  s / sqrt(N)
    grad E_{z~N(0,I)}[f(theta, z)]  ~  1/N sum_i grad_theta f(theta, z_i)                       pathwise: f is differentiable
    grad E_{x~p_theta}[f(x)]      ~  1/N sum_i (f(x_i) - b) grad_theta log p_theta(x_i)       score function: f is any function

A loss that is an expectation over data, or over a known distribution, can therefore be minimised without being known.
N draws; s their standard deviation; b a baseline that does not depend on x_i.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Estimate(NamedTuple):
    """A mean and the standard deviation of that mean, both of one shape."""

    mean: Tensor
    error: Tensor


def expectation(values: Float[Tensor, "N *D"]) -> Estimate:
    """E[f] from its values at draws of p; a gradient passes through the mean.

    Raises:
        ValueError: fewer than two draws, whose spread is not known.
    """
    if len(values) < 2:
        raise ValueError(f"expected two draws or more, got {len(values)}")
    return Estimate(values.mean(0), values.detach().std(0) / len(values) ** 0.5)


def pathwise_gradient(f: Callable[[Tensor, Tensor], Tensor], theta: Float[Tensor, "*D"], draws: Float[Tensor, "N *Z"]) -> Estimate:
    """grad_theta E[f(theta, z)] from draws of z; f maps theta and one z to a number."""
    return expectation(torch.func.vmap(torch.func.grad(f), (None, 0))(theta, draws))


def score_gradient(f: Callable[[Tensor], Tensor], log_prob: Callable[[Tensor, Tensor], Tensor], theta: Float[Tensor, "*D"],
                   draws: Float[Tensor, "N *X"], baseline: float = 0.0) -> Estimate:
    """grad_theta E_{x~p_theta}[f(x)] from draws of p_theta; log_prob maps theta and one x to a number, f one x to a number."""
    scores = torch.func.vmap(torch.func.grad(log_prob), (None, 0))(theta, draws)  # (N, *D)
    values = torch.func.vmap(f)(draws) - baseline                                # (N,)
    return expectation(values.view(-1, *[1] * theta.ndim) * scores)
