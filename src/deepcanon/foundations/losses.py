"""The basic losses, from logits and without overflow.

    squared error           (y - f(x))^2
    cross-entropy           -log p_y = log(1 + sum_{k != y} e^{l_k - l_y}),    p = softmax(l);    the negative log-likelihood of class y
    binary cross-entropy    -y log s - (1 - y) log(1 - s) = (1 - y) log(1 + e^l) + y log(1 + e^-l),    s = sigmoid(l), y in [0, 1]

Each has a simple gradient: 2 (f - y), p - onehot(y), s - y. All logarithms are natural (nats).
B batch, K classes.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def squared_error(prediction: Float[Tensor, "*B"], y: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """(y - f)^2, elementwise; its mean is the MSE. Raises ValueError for two shapes, which would be broadcast in silence."""
    if prediction.shape != y.shape:
        raise ValueError(f"expected predictions and targets of one shape, got {tuple(prediction.shape)} and {tuple(y.shape)}")
    return (y - prediction).square()


def cross_entropy(logits: Float[Tensor, "B K"], y: Int[Tensor, "B"]) -> Float[Tensor, "B"]:
    """-log softmax(l)_y of each example, nats.

    Raises:
        ValueError: not one integer label in 0..K-1 an example.
    """
    if logits.ndim != 2 or y.shape != logits.shape[:1] or y.dtype != torch.int64:
        raise ValueError(f"expected logits (B, K) and integer labels (B,), got {tuple(logits.shape)} and {y.dtype} {tuple(y.shape)}")
    if len(y) and not 0 <= y.min() <= y.max() < logits.shape[1]:
        raise ValueError(f"labels must lie in 0..{logits.shape[1] - 1}, got {y.min()}..{y.max()}")
    others = (logits - logits.gather(1, y[:, None])).scatter(1, y[:, None], torch.finfo(logits.dtype).min)
    return F.softplus(others.logsumexp(1))                                       # log(1 + sum_{k != y} e^(l_k - l_y))


def binary_cross_entropy(logits: Float[Tensor, "*B"], y: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """-log p(y) of Bernoulli(sigmoid(l)), elementwise, nats.

    Raises:
        ValueError: targets of another shape, or outside [0, 1].
    """
    if logits.shape != y.shape:
        raise ValueError(f"expected logits and targets of one shape, got {tuple(logits.shape)} and {tuple(y.shape)}")
    if not ((y >= 0) & (y <= 1)).all():
        raise ValueError(f"targets must lie in [0, 1], got {y.min():g}..{y.max():g}")
    return (1 - y) * F.softplus(logits) + y * F.softplus(-logits)
