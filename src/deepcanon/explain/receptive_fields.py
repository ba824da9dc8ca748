"""Receptive fields: the part of the image that a unit of a layer can see (Le & Borji 2017, arXiv 1705.07049).

    of a convolution or pooling of size k, stride s, padding p, dilation d, along one axis:

        start <- start - p jump,    size <- size + (k - 1) d jump,    jump <- jump s;    first 0, 1, 1

Output i sees pixels from start + i jump to start + i jump + size - 1; with dilation not all of them. Where
branches meet, the union is taken. The formula is applied to every operation while the net runs, so that it
holds for branches and functional code. After an operation that mixes all positions (a linear layer,
attention, instance or group norm) a unit sees the whole image.
"""

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from deepcanon.explain.functional import (
    activations,
    differentiable,
    gradient,
    image_pixels,
    layer_of,
    tensor_of,
)
from deepcanon.explain.visible_regions import WHOLE, Axis, Field, behind_padding, behind_window, union
from deepcanon.layers.modes import evaluating

WINDOWS = {
    "conv2d": ("input", "weight", "bias", "stride", "padding", "dilation"),
    "max_pool2d": ("input", "kernel_size", "stride", "padding", "dilation"),
    "max_pool2d_with_indices": ("input", "kernel_size", "stride", "padding", "dilation"),
    "avg_pool2d": ("input", "kernel_size", "stride", "padding"),
}
MIXING = {
    "linear",
    "matmul",
    "__matmul__",
    "bmm",
    "einsum",
    "softmax",
    "log_softmax",
    "scaled_dot_product_attention",
    "instance_norm",
    "group_norm",
    "layer_norm",
    "conv_transpose2d",
    "roll",
    "flip",
    "cumsum",
    "interpolate",
}
TAKES_FORM = {
    "to",
    "type_as",
    "expand_as",
    "view_as",
    "reshape_as",
}  # of the second tensor shape or type alone are used


class FieldMode(TorchFunctionMode):
    """Follows the fields of tensors through the operations of a net."""

    def __init__(self, x: Tensor):
        super().__init__()
        self.fields = {id(x): Field(Axis(), Axis())}
        self.kept = [x]  # an id is one tensor's while that is kept

    def of(self, x: Tensor) -> Field:
        """The field of a tensor that was met."""
        return self.fields.get(id(x), WHOLE)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        read = (
            ()
            if name.endswith("_like") or name.startswith("new_")
            else args[:1]
            if name in TAKES_FORM
            else (args, kwargs)
        )
        inputs = [t for t in tensors(read) if id(t) in self.fields]
        if inputs:
            for made in tensors(output):
                self.fields[id(made)] = self.after(name, args, kwargs, inputs, made)
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
        pointwise = (
            name not in MIXING and made.ndim == 4 and all(t.shape[2:] == made.shape[2:] for t in inputs)
        )
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
    handle = layer.register_forward_hook(
        lambda module, inputs, output: found.append(mode.of(tensor_of(module, output)))
    )
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
    """Top, left, bottom, right of the pixels at which a unit's gradient is not zero, for any image of the
    batch.

    A rectifier that is off and a maximum elsewhere hide pixels: of many images the union comes near the
        field.
    """
    x = image_pixels(net, x).clone().requires_grad_()
    with differentiable(net):
        a = activations(net, layer, x)
        seen = gradient(a[(slice(None), *unit)], x).ne(0).flatten(0, 1).any(0)  # (H, W)
    rows, columns = (seen.any(axis).nonzero()[:, 0].tolist() or [0, -1] for axis in (1, 0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def tensors(value: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [t for part in inner for t in tensors(part)]
