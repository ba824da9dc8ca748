"""Labels that are missing for some examples: y is -1 there.

B batch, D shape of an example, K classes.
"""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from deepcanon.layers.joint import batch_sum

UNLABELLED = -1


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
    if y.amin() < UNLABELLED or y.amax() >= num_classes:
        raise ValueError(f"expected labels in {UNLABELLED}..{num_classes - 1}, got some from {y.amin()} to {y.amax()}")
    return y


def labelled_cross_entropy(logits: Float[Tensor, "B K"], y: Int[Tensor, "B"]) -> Float[Tensor, ""]:
    """Mean of -log softmax(logits)_y, in nats, over the examples that have a label; 0 without any.

    Raises:
        ValueError: a label outside -1 ... K - 1.
    """
    y = within(y, logits.shape[1])
    total = batch_sum(F.cross_entropy(logits, y, ignore_index=UNLABELLED, reduction="sum"))
    return total / batch_sum((y != UNLABELLED).sum()).clamp(min=1)
