"""Importance sampling (Kahn & Marshall 1953, "Methods of reducing sample size in Monte Carlo computations").

    E_{x~p}[f(x)] = E_{x~q}[w(x) f(x)],    w = p / q,    E_q[w] = 1

    self-normalised, for a p or q known up to a factor (biased, consistent):    sum_i w_i f(x_i) / sum_i w_i
    effective sample size (Kong 1992):    (sum_i w_i)^2 / sum_i w_i^2,    between 1 and N

q must be positive wherever p f is not zero. N draws of q.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def weights(log_p: Float[Tensor, "N"], log_q: Float[Tensor, "N"]) -> Float[Tensor, "N"]:
    """w at each draw.

    Raises:
        ValueError: a draw that q cannot have made.
    """
    if torch.isneginf(log_q).any():
        raise ValueError("q gives a draw probability 0: it must cover everything that p can produce")
    return (log_p - log_q).exp()


def expectation(values: Float[Tensor, "N *D"], log_p: Float[Tensor, "N"], log_q: Float[Tensor, "N"]) -> Float[Tensor, "*D"]:
    """E_p[f], without bias, from f, log p and log q at draws of q."""
    return torch.tensordot(weights(log_p, log_q), values, 1) / len(values)


def self_normalized(values: Float[Tensor, "N *D"], log_p: Float[Tensor, "N"], log_q: Float[Tensor, "N"]) -> Float[Tensor, "*D"]:
    """E_p[f] when log p or log q lacks a constant."""
    return torch.tensordot((log_p - log_q).softmax(0), values, 1)


def effective_sample_size(log_p: Float[Tensor, "N"], log_q: Float[Tensor, "N"]) -> Float[Tensor, ""]:
    """How many draws of p itself would be as good, roughly; N when p = q."""
    return 1 / (log_p - log_q).softmax(0).square().sum()
