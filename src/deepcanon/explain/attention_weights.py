"""Attention maps and attention rollout (Bahdanau et al. 2015, arXiv 1409.0473; Abnar & Zuidema 2020, arXiv
2005.00928).

    A = softmax(Q K' / sqrt(D))          the map of one layer: rows are queries and sum to 1
    R_l = (mean_h A_lh + I) / 2 R_{l-1}, R_0 = I        what every token is made of, residuals counted

Maps are recorded where attention is computed: `F.scaled_dot_product_attention`, `nn.MultiheadAttention`, or
a softmax over the last axis of scores with three axes or more, as in code that is written out.
B batch, H heads, L queries, S keys.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from deepcanon.layers.checks import finite
from deepcanon.layers.modes import evaluating


class AttentionMode(TorchFunctionMode):
    """Keeps the attention weights of everything that runs inside."""

    def __init__(self):
        super().__init__()
        self.maps: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.multi_head_attention_forward:
            output, weights = func(*args, **kwargs | {"need_weights": True, "average_attn_weights": False})
            self.maps.append(weights.detach())
            return output, (weights.mean(-3) if kwargs.get("average_attn_weights", True) else weights)
        output = func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            self.maps.append(dot_product_weights(*args, **kwargs).detach())
        elif (
            func in (F.softmax, torch.softmax, Tensor.softmax)
            and output.ndim >= 3
            and last_axis(output, args, kwargs)
        ):
            self.maps.append(output.detach())
        return output


def last_axis(output: Tensor, args: Any, kwargs: Any) -> bool:
    """Whether a softmax was over the last axis."""
    return kwargs.get("dim", args[1] if len(args) > 1 else None) in (-1, output.ndim - 1)


def dot_product_weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Float[Tensor, "*B L S"]:
    """The weights that `F.scaled_dot_product_attention` uses and does not give."""
    L, S = query.shape[-2], key.shape[-2]
    key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3) if enable_gqa else key
    scores = query.float() @ key.float().mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        scores = scores + scores.new_full((L, S), -math.inf).triu(1)
    if attn_mask is not None:
        scores = (
            scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        )
    return scores.softmax(-1)


def attention_maps(net: nn.Module, *inputs: Any) -> list[Float[Tensor, "*B L S"]]:
    """The attention weights of every attention in the order in which they run, (B, H, L, S) of multi-head
    attention.

    Args:
        inputs: what the net is applied to.

    Raises:
        ValueError: a net in which no attention is found, or input that is not finite.
    """
    for x in inputs:
        if isinstance(x, Tensor) and x.is_floating_point():
            finite(x)
    mode = AttentionMode()
    with evaluating(net), torch.no_grad(), mode:
        net(*inputs)
    if not mode.maps:
        raise ValueError(f"no attention was found in {type(net).__name__}")
    return mode.maps


def rollout(maps: Sequence[Float[Tensor, "B H N N"]], residual: float = 0.5) -> Float[Tensor, "B N N"]:
    """How much of every input token is in each token at the end; rows sum to 1.

    Args:
        maps: self-attention of each layer, the first layer first.
        residual: the part of a token that stays as it is, by the residual connection; 0 leaves it out.

    Raises:
        ValueError: no map, maps of other shapes than (B, H, N, N), rows that do not sum to 1, a residual
            outside [0, 1).
    """
    if not maps or any(
        a.ndim != 4 or a.shape[2] != a.shape[3] or a.shape[::3] != maps[0].shape[::3] for a in maps
    ):
        raise ValueError(
            f"expected self-attention maps (B, H, N, N) of one size, got {[tuple(a.shape) for a in maps]}"
        )
    if not 0 <= residual < 1:
        raise ValueError(f"expected a residual in [0, 1), got {residual}")
    if any((a.float().sum(-1) - 1).abs().max() > 0.02 for a in maps):
        raise ValueError("expected attention maps whose rows sum to 1")
    eye = torch.eye(maps[0].shape[-1], device=maps[0].device)
    found = eye.expand(len(maps[0]), -1, -1)
    for a in maps:
        found = ((1 - residual) * a.float().mean(1) + residual * eye) @ found  # (B, N, N)
    return found


def class_token_map(rolled: Float[Tensor, "B N N"]) -> Float[Tensor, "B h w"]:
    """What the class token, the first, is made of, as a square of patches.

    Raises:
        ValueError: no class token before a square of patches.
    """
    side = math.isqrt(rolled.shape[1] - 1)
    if side * side != rolled.shape[1] - 1 or side == 0:
        raise ValueError(f"expected a class token before a square of patches, got {rolled.shape[1]} tokens")
    return rolled[:, 0, 1:].unflatten(1, (side, side))
