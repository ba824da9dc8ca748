"""Stochastic policies pi(a|s) as functions of what a net says about s: their densities in torch, for
learning, their draws in numpy, for acting.

    categorical    pi(a|s) = softmax(l)_a
    gaussian       pi(a|s) = N(a; mu, diag sigma^2),    net output (mu, log sigma)
    squashed       a = tanh(u),  u ~ N(mu, diag sigma^2)
                   log pi(a|s) = log N(u; mu, diag sigma^2) - sum_i log(1 - tanh(u_i)^2)

B batch, N environments, A actions or dimensions of an action, P = 2 A parameters of a Gaussian.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from deepcanon.layers.checks import of_shape
from deepcanon.rl.functional import actions


class Policy(NamedTuple):
    """A kind of pi.

    judge: (net output, actions) -> log pi(a|s) and the entropy of pi(.|s), each (B,), in nats.
    draw: (net output, rng) -> actions, in numpy.
    mode: net output -> the likeliest actions, in numpy.
    """

    judge: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    draw: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    mode: Callable[[np.ndarray], np.ndarray]


def judge_categorical(
    logits: Float[Tensor, "B A"], a: Int[Tensor, "B"]
) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
    """log softmax(l)_a and -sum_a p log p. Raises ValueError for actions of another shape or type."""
    of_shape("logits", logits, (len(a), logits.shape[-1]))
    log_p = logits.log_softmax(-1)
    a = actions("actions", a, (len(logits),), discrete=True).long()
    return log_p.gather(-1, a[:, None]).squeeze(-1), -(log_p.exp() * log_p).sum(-1)


def draw_categorical(logits: Float[np.ndarray, "N A"], rng: np.random.Generator) -> Int[np.ndarray, "N"]:
    """argmax_a (l_a + g_a) with g_a ~ Gumbel(0, 1) (Gumbel 1954)."""
    return (logits + rng.gumbel(size=logits.shape)).argmax(-1)


def mode_categorical(logits: Float[np.ndarray, "N A"]) -> Int[np.ndarray, "N"]:
    """argmax_a l_a."""
    return logits.argmax(-1)


def judge_gaussian(
    parameters: Float[Tensor, "B P"], a: Float[Tensor, "B A"]
) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
    """log N(a; mu, sigma^2) and sum_i log sigma_i + A log(2 pi e) / 2. Raises ValueError for parameters that
    do not fit the actions."""
    if parameters.shape[-1] % 2:
        raise ValueError(
            f"expected mu and log sigma, as many of one as of the other, got {tuple(parameters.shape)}"
        )
    actions("actions", a, (len(parameters), parameters.shape[-1] // 2), discrete=False)
    mu, log_std = parameters.chunk(2, -1)  # (B, A) each
    return log_normal((a - mu) * (-log_std).exp(), log_std), (
        log_std + 0.5 * math.log(2 * math.pi * math.e)
    ).sum(-1)


def draw_gaussian(parameters: Float[np.ndarray, "N P"], rng: np.random.Generator) -> Float[np.ndarray, "N A"]:
    """mu + sigma eps."""
    mu, log_std = np.split(parameters, 2, -1)
    return mu + np.exp(log_std) * rng.standard_normal(mu.shape, np.float32)


def mode_gaussian(parameters: Float[np.ndarray, "N P"]) -> Float[np.ndarray, "N A"]:
    """mu."""
    return np.split(parameters, 2, -1)[0]


categorical = Policy(judge_categorical, draw_categorical, mode_categorical)
gaussian = Policy(judge_gaussian, draw_gaussian, mode_gaussian)


def log_normal(noise: Float[Tensor, "B A"], log_std: Float[Tensor, "B A"]) -> Float[Tensor, "B"]:
    """log N(mu + sigma noise; mu, sigma^2), summed over A."""
    return -(0.5 * noise.square() + log_std + 0.5 * math.log(2 * math.pi)).sum(-1)


def log_slope(u: Float[Tensor, "B A"]) -> Float[Tensor, "B"]:
    """sum_i log(1 - tanh(u_i)^2) = sum_i 2 (log 2 - u_i - log(1 + exp(-2 u_i))), which does not round to log
    0."""
    return 2 * (math.log(2) - u - F.softplus(-2 * u)).sum(-1)
