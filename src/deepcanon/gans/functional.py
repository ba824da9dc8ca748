"""What every adversarial network asks of its batch. Images, of shape (C, H, W), lie in [0, 1], points of any other shape anywhere.

B batch, D shape of a data point.
"""

from jaxtyping import Float, Int
from torch import Tensor


def check(x: Float[Tensor, "B ..."], fake: Float[Tensor, "B ..."]) -> Tensor:
    """The data x, if generated points can be told from them by their content alone.

    Raises:
        ValueError: another shape than the generator's points, images outside [0, 1].
    """
    if x.shape != fake.shape:
        raise ValueError(f"expected data of the shape that the generator makes, {tuple(fake.shape[1:])}, got {tuple(x.shape[1:])}")
    return check_images(x) if x.ndim == 4 else x


def check_images(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """The images x.

    Raises:
        ValueError: values outside [0, 1].
    """
    if x.amin() < 0 or x.amax() > 1:
        raise ValueError(f"expected images with values in [0, 1], got values from {x.amin():.3g} to {x.amax():.3g}")
    return x


def labels(batch, num_classes: int) -> Int[Tensor, "B"]:
    """The classes of a batch (x, y).

    Raises:
        ValueError: no labels, or labels outside 0 ... K - 1.
    """
    if len(batch) < 2:
        raise ValueError("a conditional model is trained on batches (x, y): the labels y are missing")
    y = batch[1]
    if y.ndim != 1 or y.is_floating_point() or y.amin() < 0 or y.amax() >= num_classes:
        raise ValueError(f"expected one label in 0..{num_classes - 1} for each example, got {y.dtype} {tuple(y.shape)} from {y.amin()} to {y.amax()}")
    return y
