"""Linear map, through the faster of torch's two CPU libraries.

    y = x W' + b,        dx = dy W,   dW = dy' x,   db = sum_n dy_n

torch sends fp32 products to MKL. On AMD CPUs MKL keeps to generic AVX2 code, at half the rate of oneDNN, which is in torch too (Zen 5, two threads:
220 against 430 GFLOP/s, same fp32 error); on Intel CPUs MKL is the faster of the two. `linear` takes oneDNN on AMD, for products large enough to pay
its fixed cost, and `F.linear` in every other case.
N rows, I inputs, O outputs.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import forward_ad

# Multiply-adds from which oneDNN pays: it costs 20 to 30 us more a call and saves, on Zen 5, 4.4 us (two threads) to 10 us (one thread) a million.
SMALLEST_PRODUCT = 4_000_000


def linear(x: Float[Tensor, "*N I"], weight: Float[Tensor, "O I"], bias: Float[Tensor, "O"] | None = None) -> Float[Tensor, "*N O"]:
    """`F.linear`, faster on AMD CPUs. Differentiable to any order, forward mode and `torch.func` included."""
    if torch.compiler.is_compiling() or not (onednn_pays() and suits(x, weight, bias)):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)):
        return OneDNNLinear.apply(x, weight, bias)
    return product(x, weight, bias)


class Linear(nn.Linear):
    """`nn.Linear` (same parameters, same `state_dict`) computed by `linear`."""

    def forward(self, x: Float[Tensor, "*N I"]) -> Float[Tensor, "*N O"]:
        return linear(x, self.weight, self.bias)


class OneDNNLinear(torch.autograd.Function):
    """The three products of a linear map in oneDNN; plain, hence differentiable, ones when a graph of the backward is asked for."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx, *grads):
        (grad,), (x, weight) = grads, ctx.saved_tensors
        multiply = F.linear if torch.is_grad_enabled() or not plain(grad) else product
        rows = grad.reshape(-1, grad.shape[-1])                                  # (N, O)
        dx = multiply(grad, weight.T) if ctx.needs_input_grad[0] else None
        dw = multiply(rows.T, x.reshape(-1, x.shape[-1]).T) if ctx.needs_input_grad[1] else None
        db = rows.sum(0) if ctx.has_bias and ctx.needs_input_grad[2] else None
        return dx, dw, db


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W' + b in oneDNN, without autograd."""
    return torch.ops.mkldnn._linear_pointwise(x.contiguous(), weight, bias, "none", [], "")


def suits(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Large fp32 CPU operands, outside autocast, function transforms, forward mode, dispatch modes and tracing."""
    rows = x.numel() // max(x.shape[-1], 1) if x.ndim > 1 else 1
    return (
        rows > 1
        and rows * weight.numel() >= SMALLEST_PRODUCT
        and all(t is None or plain(t) for t in (x, weight, bias))
        and x.is_contiguous()
        and weight.is_contiguous()
        and x.shape[-1] == weight.shape[-1]
        and not torch.is_autocast_enabled("cpu")
        and forward_ad._current_level < 0
        and torch._C._get_tracing_state() is None
    )


def plain(x: Tensor) -> bool:
    """A dense fp32 CPU tensor that nothing intercepts: no subclass, function transform or dispatch mode."""
    return (
        type(x) in (Tensor, nn.Parameter)
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.layout == torch.strided
        and not torch._C._are_functorch_transforms_active()
        and torch._C._len_torch_dispatch_stack() == 0
    )


@cache
def onednn_pays() -> bool:
    """Whether this is an AMD CPU on Linux and this torch has the (private) oneDNN product."""
    cpuinfo = Path("/proc/cpuinfo")
    if not (cpuinfo.exists() and "AuthenticAMD" in cpuinfo.read_text() and torch.backends.mkldnn.is_available()):
        return False
    try:
        return product(torch.ones(2, 3), torch.ones(4, 3)).shape == (2, 4)
    except (AttributeError, RuntimeError, TypeError):
        return False


def few_rows(layer: nn.Linear, dtype: torch.dtype | None = None) -> Callable[[Tensor], Tensor]:
    """The layer as a function of (N, I), for inference on few rows N: a copy with W' stored by rows, which MKL multiplies up to six times faster."""
    weight, bias = (t if t is None else t.detach().to(dtype) for t in (layer.weight, layer.bias))
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or onednn_pays():
        return lambda x: linear(x, weight, bias)
    columns = weight.T.contiguous()                                              # (I, O)
    return (lambda x: x @ columns) if bias is None else (lambda x: torch.addmm(bias, x, columns))
