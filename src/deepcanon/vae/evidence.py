"""The evidence lower bound (Jordan et al. 1999, "An introduction to variational methods for graphical models"; Neal & Hinton 1998).

    log p(x) = L(q) + KL(q(z) || p(z|x)),    L(q) = E_q[log p(x, z)] + H(q) = E_q[log p(x|z)] - KL(q || p(z)) <= log p(x)

For a latent with finitely many values every term is a sum, and the identity can be looked at: the bound is tight iff q is the posterior.
Z number of values of the latent; all logarithms natural (nats).
"""

from jaxtyping import Float
from torch import Tensor


def elbo(log_joint: Float[Tensor, "*B Z"], log_q: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B"]:
    """L(q) from log p(x, z) and log q(z) for each value of z."""
    return (log_q.exp() * (log_joint - log_q)).sum(-1)


def log_evidence(log_joint: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B"]:
    """log p(x) = log sum_z p(x, z)."""
    return log_joint.logsumexp(-1)


def posterior(log_joint: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B Z"]:
    """log p(z|x)."""
    return log_joint.log_softmax(-1)
