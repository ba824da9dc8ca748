"""Logistic regression (Cox 1958, "The regression analysis of binary sequences"), fitted by Newton's method.

    p_i = e^{theta'x_i} / (1 + e^{theta'x_i})
    NLL = sum_i log(1 + e^{theta'x_i}) - y_i theta'x_i,    grad = X'(p - y),    Hess = X' diag(p (1 - p)) X

The Hessian is positive semi-definite everywhere: the NLL is convex, and descent ends at the one minimum from every start. Newton's step
theta - Hess^-1 grad is a weighted least-squares fit, hence its other name, iteratively reweighted least squares.
N examples, D features (add a column of ones for a bias); y is 0 or 1.
"""

import torch
from jaxtyping import Float, Num
from torch import Tensor

from deepcanon.layers.checks import finite, of_shape

CAUSES = "features are dependent, or a plane separates the classes; set decay > 0"


def probability(theta: Float[Tensor, "D"], x: Float[Tensor, "N D"]) -> Float[Tensor, "N"]:
    """p(y = 1 | x)."""
    return (x @ theta).sigmoid()


def nll(theta: Float[Tensor, "D"], x: Float[Tensor, "N D"], y: Float[Tensor, "N"]) -> Float[Tensor, ""]:
    """Negative log-likelihood of all examples together, nats."""
    logits = x @ theta
    return (torch.logaddexp(logits, torch.zeros_like(logits)) - y * logits).sum()


def gradient(theta: Float[Tensor, "D"], x: Float[Tensor, "N D"], y: Float[Tensor, "N"]) -> Float[Tensor, "D"]:
    """Of the NLL."""
    return x.T @ (probability(theta, x) - y)


def hessian(theta: Float[Tensor, "D"], x: Float[Tensor, "N D"]) -> Float[Tensor, "D D"]:
    """Of the NLL; the labels do not enter."""
    p = probability(theta, x)
    return x.T @ ((p * (1 - p)).unsqueeze(1) * x)


def fit(x: Num[Tensor, "N D"], y: Num[Tensor, "N"], *, start: Float[Tensor, "D"] | None = None, decay: float = 0.0,
        tolerance: float = 1e-8, max_steps: int = 100) -> Float[Tensor, "D"]:
    """The theta of least NLL + decay / 2 ||theta||^2, by Newton steps halved until they descend, in float64.

    Args:
        start: of the steps; 0 if not given, or if it is so far away that the Hessian there is 0 to rounding.
        tolerance: the fit ends at a step that changes no logit by more.

    Raises:
        ValueError: wrong shapes or labels, nan or inf, or a minimum that does not exist: dependent features, or classes that a plane separates.
    """
    if x.ndim != 2 or y.shape != x.shape[:1] or not ((y == 0) | (y == 1)).all():
        raise ValueError(f"expected x (N, D) and labels 0 or 1 (N,), got {tuple(x.shape)} and {tuple(y.shape)} with values {y.unique()[:5].tolist()}")
    data, labels = finite(x.double()), y.double()
    zero = data.new_zeros(x.shape[1])
    theta = zero if start is None else of_shape("a start", start.double(), zero.shape)
    if singular(hessian(theta, data) + decay * torch.eye(len(theta)).to(data)):
        theta = zero                                                             # all p are 0 or 1 so far away

    def objective(theta: Tensor) -> Tensor:
        return nll(theta, data, labels) + decay / 2 * theta.square().sum()

    for _ in range(max_steps):
        step = solve(hessian(theta, data) + decay * torch.eye(len(theta)).to(data), gradient(theta, data, labels) + decay * theta)
        if (data @ step).abs().max() <= tolerance:
            return theta.to(x.dtype if x.is_floating_point() else torch.get_default_dtype())
        while objective(theta - step) > objective(theta) * (1 + 1e-12):          # the slack is for rounding
            step = step / 2
        theta = theta - step
    raise ValueError(f"no minimum within {max_steps} Newton steps: {CAUSES}")


def singular(matrix: Float[Tensor, "D D"]) -> bool:
    """Whether a Hessian is singular to rounding."""
    values = torch.linalg.eigvalsh(matrix)                                       # ascending
    return bool(values[0] <= len(values) * torch.finfo(values.dtype).eps * values[-1])


def solve(matrix: Float[Tensor, "D D"], vector: Float[Tensor, "D"]) -> Float[Tensor, "D"]:
    """matrix^-1 vector for a Hessian. Raises ValueError for one that is singular to rounding."""
    if singular(matrix):
        raise ValueError(f"the Hessian is singular: {CAUSES}")
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ (vectors.T @ vector / values)
