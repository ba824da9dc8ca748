"""What data must be. Each gives back what it was given, or refuses it in one line: what was expected, what
came.

B batch, D shape of an example, K levels or classes.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from deepcanon.layers.precision import SIXTEEN_BITS, widened


def shaped(x: Shaped[Tensor, "B *D"], shape: tuple[int, ...]) -> Shaped[Tensor, "B *D"]:
    """x.

    Raises:
        ValueError: examples of another shape.
    """
    if tuple(x.shape[1:]) != tuple(shape):
        raise ValueError(
            f"expected data of shape ({', '.join(map(str, ('B', *shape)))}), got {tuple(x.shape)}"
        )
    return x


def of_shape(name: str, x: Shaped[Tensor, "*D"], shape: Sequence[int]) -> Shaped[Tensor, "*D"]:
    """x, called `name` in the message.

    Raises:
        ValueError: another shape, also one that would broadcast.
    """
    if tuple(x.shape) != tuple(shape):
        raise ValueError(f"expected {name} of shape {tuple(shape)}, got {tuple(x.shape)}")
    return x


def one_each(name: str, y: Float[Tensor, "*D"], n: int) -> Float[Tensor, "B"]:
    """y as a row, a number for each of n examples, called `name` in the message.

    Raises:
        ValueError: a shape that is neither (n,) nor (n, 1).
    """
    if tuple(y.shape) not in ((n,), (n, 1)):
        raise ValueError(f"expected {name} of shape {(n,)} or {(n, 1)}, got {tuple(y.shape)}")
    return y.flatten()


def rows(name: str, y: Shaped[Tensor, "*D"], n: int) -> Shaped[Tensor, "*D"]:
    """y, of any shape with n rows, called `name` in the message.

    Raises:
        ValueError: another number of rows, or rows without numbers.
    """
    if y.ndim == 0 or len(y) != n or not y.numel():
        raise ValueError(f"expected {name} of shape ({n}, ...), got {tuple(y.shape)}")
    return y


def channels(x: Shaped[Tensor, "B C *D"], num_channels: int, axis: int = 1) -> Shaped[Tensor, "B C *D"]:
    """x, with this many channels or features along the axis.

    Raises:
        ValueError: another number of them, also one that would broadcast.
    """
    if x.ndim <= axis or x.shape[axis] != num_channels:
        raise ValueError(f"expected {num_channels} channels along axis {axis}, got shape {tuple(x.shape)}")
    return x


def examples(batch: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """x and y of a batch.

    Raises:
        ValueError: other than two entries.
    """
    if len(batch) != 2:
        raise ValueError(f"expected a batch (x, y), got {len(batch)} entr{'y' if len(batch) == 1 else 'ies'}")
    return batch[0], batch[1]


def finite(x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
    """x.

    Raises:
        ValueError: values that are no real numbers, nan or inf.
    """
    if not x.isfinite().all():
        raise ValueError(
            f"expected finite values, got {int((~x.isfinite()).sum())} of {x.numel()} that are nan or inf"
        )
    return x


def unit(x: Shaped[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
    """x.

    Raises:
        ValueError: integers, or values outside [0, 1], nan among them.
    """
    if not x.is_floating_point():
        raise ValueError(
            f"expected floating-point values in [0, 1], got {x.dtype}; divide 8-bit images by 255"
        )
    low, high = x.aminmax()
    if not (low >= 0 and high <= 1):
        raise ValueError(f"expected values in [0, 1], got some from {low:.3g} to {high:.3g}")
    return x


def on_levels(x: Shaped[Tensor, "B *D"], levels: int) -> Float[Tensor, "B *D"]:
    """x; of 16 bits, which hardly hold 256 levels apart, the levels that are meant, in float32.

    Raises:
        ValueError: values outside [0, 1], or between the K levels.
    """
    v = widened(unit(x)) * (levels - 1)
    rounding = torch.finfo(x.dtype).eps / 2 * (levels - 1) if x.dtype in SIXTEEN_BITS else 0.0
    if not (v - v.round()).abs().amax() < 0.01 + rounding:
        raise ValueError(
            f"expected values on the {levels} levels 0, 1/{levels - 1}, ..., 1, got others between"
        )
    return v.round() / (levels - 1) if x.dtype in SIXTEEN_BITS else x


def classes(y: Shaped[Tensor, "*B"], num_classes: int, n: int | None = None) -> Shaped[Tensor, "B"]:
    """y.

    Raises:
        ValueError: not one whole number from 0 to K - 1 for each of n examples.
    """
    if (
        y.ndim != 1
        or y.is_floating_point()
        or len(y) != (len(y) if n is None else n)
        or y.amin() < 0
        or y.amax() >= num_classes
    ):
        of = f"each of {n} examples" if n is not None else "each example"
        raise ValueError(
            f"expected one label in 0..{num_classes - 1} for {of}, got {y.dtype} {tuple(y.shape)} from "
            f"{y.amin()} to {y.amax()}"
        )
    return y


def image_batch(
    x: Shaped[Tensor, "B C H W"], channels: int, size: tuple[int, int] | None = None
) -> Float[Tensor, "B C H W"]:
    """x.

    Raises:
        ValueError: other channels, another size where one is given, or whole numbers.
    """
    sides = size or ("H", "W")
    if x.ndim != 4 or x.shape[1] != channels or (size and tuple(x.shape[2:]) != tuple(size)):
        wanted = ", ".join(map(str, ("B", channels, *sides)))
        hint = "; a grey image is repeated by x.expand(-1, 3, -1, -1)" if channels == 3 and x.ndim == 4 and x.shape[1] == 1 else ""
        raise ValueError(f"expected images ({wanted}), got {tuple(x.shape)}{hint}")
    if not x.is_floating_point():
        raise ValueError(f"expected floating-point images in [0, 1], got {x.dtype}; divide 8-bit images by 255")
    return x
