"""Guided backpropagation (Springenberg et al. 2015, arXiv 1412.6806) and the deconvolutional net (Zeiler &
Fergus 2014, arXiv 1311.2901): gradients with another rule for the rectifiers.

    f(x) = max(x, 0)        gradient          dout 1[f(x) > 0]
                            deconvolution     dout 1[dout > 0]
                            guided            dout 1[f(x) > 0] 1[dout > 0]

For x = [1, 1, -1] and dout = [1, -1, 1] these are [1, -1, 0], [1, 0, 1] and [1, 0, 0]. Max pooling passes
the signal to where the maximum was, in all three. Rectifiers are found by what is called, not by their
class: `nn.ReLU`, in place or not, `F.relu`, `torch.relu`, `x.relu()` and `x.clamp(min=0)` alike, also one
module used twice. B batch, D the shape of one input.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from deepcanon.explain.functional import Target, differentiable, input_gradient, pixels

RECTIFIERS = (F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
IN_PLACE = (F.relu_, torch.relu_, Tensor.relu_)
CLAMPS = (torch.clamp, torch.clamp_min, Tensor.clamp, Tensor.clamp_min)


class Rectifier(torch.autograd.Function):
    """max(x, 0), whose gradient is masked by the positive outputs (`forward_mask`) and by the positive
    signals."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, in_place: bool, forward_mask: bool) -> Tensor:
        out = x.relu_() if in_place else x.relu()
        if in_place:
            ctx.mark_dirty(x)
        ctx.forward_mask = forward_mask
        ctx.save_for_backward(out > 0)
        return out

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor, None, None]:
        (positive,) = ctx.saved_tensors
        signal = dout.clamp(min=0)
        return signal * positive if ctx.forward_mask else signal, None, None


class ReluRule(TorchFunctionMode):
    """Inside, every rectifier has the rule; how many were met is counted."""

    def __init__(self, forward_mask: bool):
        super().__init__()
        self.forward_mask, self.met = forward_mask, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in RECTIFIERS and not (func in CLAMPS and only_from_zero(*args[1:], **kwargs)):
            return func(*args, **kwargs)
        self.met += 1
        x = args[0] if args else kwargs["input"]
        in_place = func in IN_PLACE or bool(
            kwargs.get("inplace", args[1] if func is F.relu and len(args) > 1 else False)
        )
        return Rectifier.apply(x, in_place, self.forward_mask)


def only_from_zero(
    low: Any = None, high: Any = None, *, min: Any = None, max: Any = None, input: Any = None
) -> bool:
    """Whether these arguments of a clamp keep what is positive and nothing else."""
    low, high = (low if min is None else min), (high if max is None else max)
    return isinstance(low, int | float) and low == 0 and high is None


def guided_backprop(
    net: nn.Module, x: Shaped[Tensor, "B *D"], target: Target = None
) -> Float[Tensor, "B *D"]:
    """The signal of the score at the input, by the guided rule; `target` as in `saliency`.

    Raises:
        ValueError: a net without rectifiers, whose guided signal would be its gradient; input as in
            `saliency`.
    """
    return with_rule(net, x, target, forward_mask=True)


def deconvolution(net: nn.Module, x: Shaped[Tensor, "B *D"], target: Target = None) -> Float[Tensor, "B *D"]:
    """The signal of the score at the input, by the rule of the deconvolutional net; `target` as in
    `saliency`.

    Raises:
        ValueError: a net without rectifiers; input as in `saliency`.
    """
    return with_rule(net, x, target, forward_mask=False)


def with_rule(net: nn.Module, x: Tensor, target: Target, forward_mask: bool) -> Tensor:
    """The gradient at the input where every rectifier has the rule."""
    x = pixels(net, x)
    rule = ReluRule(forward_mask)
    with differentiable(net), rule:
        signal = input_gradient(net, x, target)
    if not rule.met:
        raise ValueError(
            f"{type(net).__name__} has no rectifier (ReLU): the guided signal would be the plain gradient"
        )
    return signal
