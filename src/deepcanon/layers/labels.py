"""Labels that are missing for some examples: y is -1 there.

B batch, D shape of an example, K classes.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from deepcanon.layers.joint import batch_sum

UNLABELLED = -1
NO_LABEL = -(2**40)                                                              # which no label is: none is left out


def cross_entropy(logits: Float[Tensor, "B K"], y: Int[Tensor, "B"], **options) -> Tensor:
    """`F.cross_entropy` that names a label without a class; -100 is none either.

    Raises:
        ValueError: logits or labels of another shape or type, or a label outside 0..K-1.
    """
    if logits.ndim != 2:
        raise ValueError(f"expected logits (B, K), one row an image, got {tuple(logits.shape)}")
    if y.shape != logits.shape[:1] or y.dtype != torch.int64:
        raise ValueError(f"expected one integer label an image, ({len(logits)},), got {y.dtype} {tuple(y.shape)}")
    try:
        return F.cross_entropy(logits, y, ignore_index=NO_LABEL, **options)
    except IndexError:
        raise ValueError(f"labels must lie in 0..{logits.shape[1] - 1}, got {y.min()}..{y.max()}") from None


def correct(logits: Float[Tensor, "*#B K"], y: Int[Tensor, "*#B"]) -> Float[Tensor, "*B"]:
    """1 where the largest logit is that of y, else 0; nan where one is nan, which argmax calls the largest."""
    hit = (logits.argmax(-1) == y).float()
    return torch.where(logits.isnan().any(-1), torch.nan, hit)


def partly_labelled(batch) -> tuple[Float[Tensor, "B *D"], Int[Tensor, "B"]]:
    """x and y of a batch.

    Raises:
        ValueError: y is missing.
    """
    if len(batch) < 2:
        raise ValueError(f"expected a batch (x, y), with {UNLABELLED} in y where there is no label; y is missing")
    return batch[0], batch[1]


def within(y: Int[Tensor, "B"], num_classes: int) -> Int[Tensor, "B"]:
    """y.

    Raises:
        ValueError: a label outside -1 ... K - 1.
    """
    if y.ndim != 1 or y.is_floating_point():
        raise ValueError(f"expected one integer label for each example, got {y.dtype} {tuple(y.shape)}")
    if y.amin() < UNLABELLED or y.amax() >= num_classes:
        raise ValueError(f"expected labels in {UNLABELLED}..{num_classes - 1}, got some from {y.amin()} to {y.amax()}")
    return y


def labelled_cross_entropy(logits: Float[Tensor, "B K"], y: Int[Tensor, "B"]) -> Float[Tensor, ""]:
    """Mean of -log softmax(logits)_y, in nats, over the examples that have a label; 0 without any.

    Raises:
        ValueError: a label outside -1 ... K - 1.
    """
    y = within(y, logits.shape[1])
    if logits.shape[:1] != y.shape:
        raise ValueError(f"expected logits for each of {len(y)} examples, got {tuple(logits.shape)}")
    total = batch_sum(F.cross_entropy(logits, y, ignore_index=UNLABELLED, reduction="sum"))
    return total / batch_sum((y != UNLABELLED).sum()).clamp(min=1)
