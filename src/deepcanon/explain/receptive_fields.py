"""Receptive fields: the part of the image that a unit of a layer can see (Le & Borji 2017, arXiv 1705.07049).

    of a convolution or pooling of size k, stride s, padding p, dilation d, along one axis:

        start <- start - p jump,    size <- size + (k - 1) d jump,    jump <- jump s,    from start = 0, size = jump = 1

Output i sees pixels from start + i jump to start + i jump + size - 1; with dilation not all of them. Where branches meet, the union is taken. The
formula is applied to every operation while the net runs, so that it holds for branches and functional code. After an
operation that mixes all positions (a linear layer, attention, instance or group norm) a unit sees the whole image.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from deepcanon.explain.functional import activations, differentiable, gradient, image_pixels, layer_of, tensor_of
from deepcanon.layers.modes import evaluating

WINDOWS = {
    "conv2d": ("input", "weight", "bias", "stride", "padding", "dilation"),
    "max_pool2d": ("input", "kernel_size", "stride", "padding", "dilation"),
    "max_pool2d_with_indices": ("input", "kernel_size", "stride", "padding", "dilation"),
    "avg_pool2d": ("input", "kernel_size", "stride", "padding"),
}
MIXING = {"linear", "matmul", "__matmul__", "bmm", "einsum", "softmax", "log_softmax", "scaled_dot_product_attention",
          "instance_norm", "group_norm", "layer_norm", "conv_transpose2d", "roll", "flip", "cumsum", "interpolate"}


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


class FieldMode(TorchFunctionMode):
    """Follows the fields of tensors through the operations of a net."""

    def __init__(self, x: Tensor):
        super().__init__()
        self.fields = {id(x): Field(Axis(), Axis())}
        self.kept = [x]                                                           # an id is one tensor's while that is kept

    def of(self, x: Tensor) -> Field:
        """The field of a tensor that was met."""
        return self.fields.get(id(x), WHOLE)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        inputs = [t for t in tensors((args, kwargs)) if id(t) in self.fields]
        if inputs:
            for made in tensors(output):
                self.fields[id(made)] = self.after(getattr(func, "__name__", ""), args, kwargs, inputs, made)
                self.kept.append(made)
        return output

    def after(self, name: str, args: Any, kwargs: Any, inputs: list[Tensor], made: Tensor) -> Field:
        """The field of the output of one operation."""
        if name in WINDOWS:
            given = dict(zip(WINDOWS[name], args)) | kwargs
            return behind_window(self.of(given["input"]), given)
        if name == "pad":
            given = dict(zip(("input", "pad", "mode"), args)) | kwargs
            return behind_padding(self.of(given["input"]), given["pad"], given.get("mode", "constant"))
        pointwise = name not in MIXING and made.ndim == 4 and all(t.shape[2:] == made.shape[2:] for t in inputs)
        return union([self.of(t) for t in inputs]) if pointwise else WHOLE


def receptive_field(net: nn.Module, layer: nn.Module | str, x: Shaped[Tensor, "B C H W"]) -> Field:
    """The receptive fields of a layer's units, by the formula.

    Args:
        x: images of the size that the net takes; what is in them does not matter.

    Raises:
        ValueError: no such layer, or one that is not used.
    """
    x, found = image_pixels(net, x)[:1], []
    mode = FieldMode(x)
    layer = layer_of(net, layer)
    handle = layer.register_forward_hook(lambda module, inputs, output: found.append(mode.of(tensor_of(module, output))))
    try:
        with evaluating(net), torch.no_grad(), mode:
            net(x)
    finally:
        handle.remove()
    if not found:
        raise ValueError(f"the {type(layer).__name__} is not used when {type(net).__name__} is applied")
    return found[-1]


def gradient_support(
    net: nn.Module, layer: nn.Module | str, x: Shaped[Tensor, "B C H W"], unit: tuple[int, int, int]
) -> tuple[int, int, int, int]:
    """Top, left, bottom, right of the pixels at which a unit's gradient is not zero, for any image of the batch.

    A rectifier that is off and a maximum elsewhere hide pixels: of many images the union comes near the field.
    """
    x = image_pixels(net, x).clone().requires_grad_()
    with differentiable(net):
        a = activations(net, layer, x)
        seen = gradient(a[(slice(None), *unit)], x).ne(0).flatten(0, 1).any(0)    # (H, W)
    rows, columns = (seen.any(axis).nonzero()[:, 0].tolist() or [0, -1] for axis in (1, 0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def tensors(value: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [t for part in inner for t in tensors(part)]


def behind_window(field: Field, given: dict[str, Any]) -> Field:
    """The field behind a convolution or pooling with these arguments."""
    if field.rows is None or field.columns is None:
        return WHOLE
    kernel = given["weight"].shape[2:] if "weight" in given else pair(given["kernel_size"])
    stride, dilation = pair(given.get("stride") or kernel if "weight" not in given else given.get("stride", 1)), pair(given.get("dilation", 1))
    padding = given.get("padding", 0)
    if isinstance(padding, str):
        padding = tuple((k - 1) * d // 2 if padding == "same" else 0 for k, d in zip(kernel, dilation))
    ways = zip((field.rows, field.columns), kernel, stride, pair(padding), dilation)
    return Field(*(axis.through(k, s, p, d) for axis, k, s, p, d in ways))


def behind_padding(field: Field, pad: Sequence[int], mode: str) -> Field:
    """The field behind a border of (left, right, top, bottom) pixels, which must be constant: others repeat the image."""
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
