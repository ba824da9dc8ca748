"""A Gaussian prior is an L2 penalty (MacKay 1992; ridge regression: Hoerl & Kennard 1970; weight decay: Krogh & Hertz 1991).

    argmax_theta p(theta|D) = argmin_theta -sum_i log p(y_i|x_i, theta) - log p(theta)
                            = argmin_theta -sum_i log p(y_i|x_i, theta) + lam ||theta||^2,    theta ~ N(0, sigma^2 I),  lam = 1 / (2 sigma^2)

For y = X theta + noise of variance 1 the minimum is known, ridge regression:    theta = (X'X + I / sigma^2)^-1 X'y
N examples, D features, M outputs.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def penalty(sigma: float) -> float:
    """lam of a prior of standard deviation sigma: the narrower the prior, the stronger the pull to zero."""
    if not sigma > 0:
        raise ValueError(f"expected a prior of positive standard deviation, got {sigma}")
    return 1 / (2 * sigma**2)


def l2(*parameters: Tensor) -> Float[Tensor, ""]:
    """||theta||^2 over all of the given parameters."""
    return torch.stack([p.square().sum() for p in parameters]).sum()


def map_loss(nll: Float[Tensor, ""], *parameters: Tensor, sigma: float) -> Float[Tensor, ""]:
    """-log p(theta|D) up to a constant, from the summed negative log-likelihood of the data (nats)."""
    return nll + penalty(sigma) * l2(*parameters)


def ridge(x: Float[Tensor, "N D"], y: Float[Tensor, "N *M"], sigma: float) -> Float[Tensor, "D *M"]:
    """The most probable theta given the data, unit noise and a N(0, sigma^2) prior on every weight.

    Raises:
        ValueError: a sigma that is not positive, or not one target a row of x.
    """
    if x.ndim != 2 or len(y) != len(x):
        raise ValueError(f"expected x (N, D) and one target a row, got {tuple(x.shape)} and {tuple(y.shape)}")
    precision = x.T @ x + 2 * penalty(sigma) * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    return torch.linalg.solve(precision, x.T @ y)
