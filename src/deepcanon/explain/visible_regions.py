"""Which pixels the units of a layer can see: regions, and what windows, borders and branches make of them.

    start <- start - p jump,    size <- size + (k - 1) d jump,    jump <- jump s

along one axis, for a window of size k, stride s, padding p and dilation d; see `receptive_fields`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Axis(NamedTuple):
    """What output 0 sees along one axis, and how far apart the fields of neighbours are."""

    start: int = 0
    size: int = 1
    jump: int = 1

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> "Axis":
        """The same behind a window."""
        size = self.size + (kernel - 1) * dilation * self.jump
        return Axis(self.start - padding * self.jump, size, self.jump * stride)

    def span(self, i: int, length: int) -> tuple[int, int]:
        """First pixel and the one after the last that output i sees, within the image."""
        first = self.start + i * self.jump
        return min(max(first, 0), length), max(min(first + self.size, length), 0)


class Field(NamedTuple):
    """The receptive fields of a layer's units; of no axes where each sees the whole image."""

    rows: Axis | None
    columns: Axis | None

    def box(self, row: int, column: int, image: tuple[int, int]) -> tuple[int, int, int, int]:
        """Top, left, bottom, right of what the unit at (row, column) sees, bottom and right exclusive."""
        if self.rows is None or self.columns is None:
            return 0, 0, *image
        (top, bottom), (left, right) = self.rows.span(row, image[0]), self.columns.span(column, image[1])
        return top, left, bottom, right


WHOLE = Field(None, None)


def behind_window(field: Field, given: dict[str, Any]) -> Field:
    """The field behind a convolution or pooling with these arguments."""
    if field.rows is None or field.columns is None:
        return WHOLE
    kernel = given["weight"].shape[2:] if "weight" in given else pair(given["kernel_size"])
    stride, dilation = (
        pair(given.get("stride") or kernel if "weight" not in given else given.get("stride", 1)),
        pair(given.get("dilation", 1)),
    )
    padding = given.get("padding", 0)
    if isinstance(padding, str):
        padding = tuple((k - 1) * d // 2 if padding == "same" else 0 for k, d in zip(kernel, dilation))
    ways = zip((field.rows, field.columns), kernel, stride, pair(padding), dilation)
    return Field(*(axis.through(k, s, p, d) for axis, k, s, p, d in ways))


def behind_padding(field: Field, pad: Sequence[int], mode: str) -> Field:
    """The field behind a border of (left, right, top, bottom) pixels, which must be constant: others repeat
    the image."""
    if field.rows is None or field.columns is None or mode != "constant" or len(pad) > 4:
        return WHOLE
    left, _, top, _ = (*pad, 0, 0)[:4]
    return Field(field.rows.through(1, 1, top, 1), field.columns.through(1, 1, left, 1))


def union(fields: Sequence[Field]) -> Field:
    """What is seen through any of several branches."""
    axes = []
    for parts in ([f.rows for f in fields], [f.columns for f in fields]):
        known = [axis for axis in parts if axis is not None]
        if len(known) < len(parts) or len({axis.jump for axis in known}) > 1:
            return WHOLE
        start = min(axis.start for axis in known)
        axes.append(Axis(start, max(axis.start + axis.size for axis in known) - start, known[0].jump))
    return Field(*axes)


def pair(value: Any) -> tuple[int, int]:
    """A number for both axes, or one for each."""
    values = tuple(value) if isinstance(value, tuple | list) else (value,)
    return (values[0], values[-1])
