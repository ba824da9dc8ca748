"""What explanations share: checked input, one score an image, activations of a layer, gradients of either.

    score_b = output[b, k_b],        k_b the class that is explained, by default the likeliest

A net is evaluated in evaluation mode. Its mode, its hooks and the gradients of its parameters are left as
they were. B batch, C channels, H x W pixels, K classes, D the shape of one input.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from deepcanon.layers.checks import finite
from deepcanon.layers.modes import evaluating
from deepcanon.layers.precision import typed_as

Target = (
    int | Tensor | Callable[[Tensor], Tensor] | None
)  # a class, one of each input, a score of the output, the likeliest


class Reached(Exception):
    """A forward pass has come to the layer whose output is wanted."""

    def __init__(self, output: Any):
        super().__init__()
        self.output = output


def pixels(net: nn.Module, x: Shaped[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
    """x in the type of the net's weights; 8-bit images are divided by 255.

    Raises:
        TypeError: the net is no module, or x is of whole numbers other than uint8.
        ValueError: no input, or values that are nan or inf.
    """
    if not isinstance(net, nn.Module):
        raise TypeError(f"expected a net, an nn.Module, got {type(net).__name__}")
    if x.dtype == torch.uint8:
        x = x.float() / 255
    if not x.is_floating_point():
        raise TypeError(f"expected floating-point or uint8 values, got {x.dtype}")
    if x.ndim < 2 or not x.numel():
        raise ValueError(f"expected a batch of inputs (B, ...), got {tuple(x.shape)}")
    return typed_as(net, finite(x)).detach()


def image_pixels(net: nn.Module, x: Shaped[Tensor, "B *D"]) -> Float[Tensor, "B C H W"]:
    """`pixels` of images.

    Raises:
        ValueError: no images (B, C, H, W).
    """
    if x.ndim != 4:
        raise ValueError(f"expected images (B, C, H, W), got {tuple(x.shape)}")
    return pixels(net, x)


@contextlib.contextmanager
def differentiable(net: nn.Module) -> Iterator[nn.Module]:
    """The net in evaluation mode, with gradients even where the caller has switched them off."""
    with evaluating(net), torch.inference_mode(False), torch.enable_grad():
        yield net


def logits_of(output: Any) -> Tensor:
    """The tensor of an output; of a tuple its `logits`, else its first entry."""
    output = getattr(output, "logits", output)
    output = output[0] if isinstance(output, tuple | list) and len(output) else output
    if not isinstance(output, Tensor):
        raise TypeError(f"expected a net that returns a tensor, got {type(output).__name__}")
    return output


def score(output: Any, target: Target = None) -> Float[Tensor, "B"]:
    """The number of each input that is explained.

    Args:
        output: of the net, logits (B, K), or (B,) where there is one number.
        target: a class, one class for each input (B,), a function of the output that returns (B,), or None
            for the likeliest class of each.

    Raises:
        ValueError: an output of another shape, classes outside 0..K-1 or not one for each input, or a score
            of another shape.
    """
    output = logits_of(output)
    if callable(target):
        value = target(output)
        if value.shape != output.shape[:1]:
            raise ValueError(
                f"expected a score of shape ({len(output)},), one an input, got {tuple(value.shape)}"
            )
        return value
    if output.ndim == 1 and target is None:
        return output
    if output.ndim != 2:
        raise ValueError(
            f"expected logits (B, K), got {tuple(output.shape)}; pass target=, a function of the output"
        )
    return output.gather(1, labels(output, target)[:, None])[:, 0]


def labels(output: Float[Tensor, "B K"], target: int | Tensor | None) -> Tensor:
    """The class of each input that is explained, (B,)."""
    if target is None:
        return output.argmax(1)
    k = one_each(target, len(output)).to(output.device)
    if k.min() < 0 or k.max() >= output.shape[1]:
        raise ValueError(f"expected classes in 0..{output.shape[1] - 1}, got {k.min()}..{k.max()}")
    return k


def one_each(target: int | Tensor, count: int) -> Int[Tensor, "B"]:
    """One class for each of `count` inputs."""
    k = torch.as_tensor(target)
    if k.is_floating_point() or k.dtype == torch.bool or k.shape not in ((), (count,)):
        raise ValueError(
            f"expected target as a class or one class for each of {count} inputs, got {k.dtype} "
            f"{tuple(k.shape)}"
        )
    return k.long().expand(count)


def settled(net: nn.Module, x: Float[Tensor, "B *D"], target: Target) -> Target:
    """The target with the classes decided, those of x itself where none is given: for what explains x by
    other inputs."""
    if callable(target):
        return target
    if target is not None:
        return one_each(target, len(x))
    with evaluating(net), torch.no_grad():
        output = logits_of(net(x))
    return output.argmax(1) if output.ndim == 2 else None


def gradient(value: Float[Tensor, "*S"], of: Tensor) -> Tensor:
    """d sum(value) / d of; the gradients of parameters are not touched.

    Raises:
        ValueError: the value was computed without a gradient.
    """
    if not value.requires_grad:
        raise ValueError(
            "the score has no gradient: it does not depend on the input, or is computed under no_grad"
        )
    return torch.autograd.grad(value.sum(), of, materialize_grads=True)[0]


def input_gradient(net: nn.Module, x: Float[Tensor, "B *D"], target: Target = None) -> Float[Tensor, "B *D"]:
    """The gradient of each input's score with respect to the input, of a net that is differentiable."""
    x = x.detach().clone().requires_grad_()
    return gradient(score(net(x), target), x)


def layer_of(net: nn.Module, layer: nn.Module | str) -> nn.Module:
    """A layer of the net, by its name where it is a text.

    Raises:
        ValueError: the net has no such layer.
    """
    if isinstance(layer, str):
        named = dict(net.named_modules())
        if layer not in named or not layer:
            names = [name for name in named if name]
            raise ValueError(
                f"{type(net).__name__} has no layer {layer!r}, only {', '.join(names[:12])}"
                f"{' and others' if len(names) > 12 else ''}"
            )
        return named[layer]
    if not any(layer is module for module in net.modules()):
        raise ValueError(f"this {type(layer).__name__} is no layer of {type(net).__name__}")
    return layer


def activations(net: nn.Module, layer: nn.Module | str, x: Tensor) -> Tensor:
    """What a layer gives for x; the layers after it are not run. x may require a gradient.

    Raises:
        ValueError: no such layer, one that is not used, or one whose output is no tensor.
    """

    def stop(module: nn.Module, inputs: Any, output: Any) -> None:
        raise Reached(output)

    layer = layer_of(net, layer)
    handle = layer.register_forward_hook(stop)
    try:
        net(x)
    except Reached as reached:
        return tensor_of(layer, reached.output)
    finally:
        handle.remove()
    raise ValueError(f"the {type(layer).__name__} is not used when {type(net).__name__} is applied")


def tensor_of(layer: nn.Module, output: Any) -> Tensor:
    """The output of a layer, which must be one tensor."""
    if not isinstance(output, Tensor):
        raise ValueError(
            f"expected a layer that returns a tensor, {type(layer).__name__} returns {type(output).__name__}"
        )
    return output


def layer_gradient(
    net: nn.Module, layer: nn.Module | str, x: Tensor, target: Target = None
) -> tuple[Tensor, Tensor]:
    """What a layer gives for x, and the gradient of the scores with respect to it.

    The net is run without a gradient up to the layer. Of a layer that is used several times, its last use
    counts.

    Raises:
        ValueError: no such layer, or one that is not used.
    """
    held: list[Tensor] = []

    def hold(module: nn.Module, inputs: Any, output: Any) -> Tensor:
        a = tensor_of(module, output).detach().requires_grad_()
        held[:] = [a]
        torch.set_grad_enabled(True)
        return a.clone()  # which a layer in place may change

    layer = layer_of(net, layer)
    handle = layer.register_forward_hook(hold)
    try:
        with evaluating(net), torch.inference_mode(False), torch.no_grad():
            value = score(net(x), target)
            if not held:
                raise ValueError(
                    f"the {type(layer).__name__} is not used when {type(net).__name__} is applied"
                )
            torch.set_grad_enabled(True)
            return held[0].detach(), gradient(value, held[0])
    finally:
        handle.remove()
