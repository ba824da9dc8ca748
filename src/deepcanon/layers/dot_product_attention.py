"""Scaled dot-product and multi-head attention (Vaswani et al. 2017, arXiv 1706.03762).

    Attention(Q, K, V) = softmax(Q K' / sqrt(D)) V
    MultiHead(X, Y)    = [head_1; ...; head_H] W_O,      head_h = Attention(X W_Q^h, Y W_K^h, Y W_V^h)

Y = X is self-attention; in its causal form position l sees the positions t <= l only. Any other Y is cross-attention.
B batch, H heads, L queries, S keys, E embedding, D = E / H.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepcanon.layers.cache import KVCache, empty_cache
from deepcanon.layers.linear_map import Linear, onednn_pays

Mask = Bool[Tensor, "*#B #L S"]  # True where a query may look


def attention(
    q: Float[Tensor, "*B L D"],
    k: Float[Tensor, "*B S D"],
    v: Float[Tensor, "*B S V"],
    *,
    causal: bool = False,
    mask: Mask | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "*B L V"]:
    """softmax(q k' / sqrt(D)) v, over the keys that `mask` (True: may look) and `causal` leave.

    Causal queries are the last L of the S positions, so that new queries can follow cached keys.
    """
    L, S = q.shape[-2], k.shape[-2]
    if mask is None and dropout == 0 and plain_is_faster(q, k):
        scores = q @ k.mT * q.shape[-1] ** -0.5                                  # (*B, L, S)
        if causal and L > 1:
            scores = scores + q.new_full((L, S), float("-inf")).triu(S - L + 1)
        return scores.softmax(-1) @ v
    if causal and L > 1 and (L < S or mask is not None):
        past = torch.ones(L, S, dtype=torch.bool, device=q.device).tril(S - L)
        mask, causal = past if mask is None else past & mask, False
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal and L > 1)


def plain_is_faster(q: Tensor, k: Tensor) -> bool:
    """Where two products and a softmax beat the fused kernel on a CPU.

    With a gradient in bfloat16, up to 256 keys: the fused kernel takes up to ten times as long as in float32 (12x4x64x32: 8.4, not 2.2 ms).
    One query; and on AMD CPUs up to 64 keys (12x4x64x32: 1.24, not 0.78 ms).
    """
    if q.device.type != "cpu":
        return False
    if q.dtype == torch.bfloat16 and torch.is_grad_enabled() and (q.requires_grad or k.requires_grad):
        return k.shape[-2] <= 256
    return not torch.compiler.is_compiling() and (q.shape[-2] == 1 or (k.shape[-2] <= 64 and onednn_pays()))


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself.

    Args:
        embed_dim: E, a multiple of num_heads.
        num_heads: H.
        causal: hide the future.
        bias: give the four projections a bias.
        dropout: of the attention weights, while training.
    """

    def __init__(self, embed_dim: int, num_heads: int, *, causal: bool = False, bias: bool = True, dropout: float = 0.0):
        super().__init__()
        check_heads(embed_dim, num_heads)
        self.num_heads, self.causal, self.dropout = num_heads, causal, dropout
        self.qkv = Linear(embed_dim, 3 * embed_dim, bias=bias)
        self.out = Linear(embed_dim, embed_dim, bias=bias)

    def forward(self, x: Float[Tensor, "B L E"], mask: Mask | None = None) -> Float[Tensor, "B L E"]:
        q, k, v = (split(t, self.num_heads) for t in self.qkv(x).chunk(3, -1))   # (B, H, L, D) each
        y = attention(q, k, v, causal=self.causal, mask=mask, dropout=self.dropout if self.training else 0.0)
        return self.out(merge(y))

    def extend(self, x: Float[Tensor, "B L E"], cache: KVCache) -> tuple[Float[Tensor, "B L E"], KVCache]:
        """Causal attention of L new positions to themselves and to those in the cache, and the cache with them."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)                   # (3, B, H, L, D)
        cache = cache.append(qkv[1:])
        return self.out(merge(attention(qkv[0], *cache.read(), causal=True))), cache

    def empty_cache(self, batch: int, capacity: int) -> KVCache:
        """Room for `capacity` positions of `batch` sequences."""
        return empty_cache(batch, self.num_heads, capacity, self.out.in_features // self.num_heads, like=self.out.weight)


class CrossAttention(nn.Module):
    """Multi-head attention of a sequence x to another, the context, of which keys and values may be computed once.

    Args:
        embed_dim: E of x, a multiple of num_heads.
        num_heads: H.
        context_dim: C of the context, E when None.
        bias: give the projections a bias.
        dropout: of the attention weights, while training.
    """

    def __init__(self, embed_dim: int, num_heads: int, *, context_dim: int | None = None, bias: bool = True, dropout: float = 0.0):
        super().__init__()
        check_heads(embed_dim, num_heads)
        self.num_heads, self.dropout = num_heads, dropout
        self.query = Linear(embed_dim, embed_dim, bias=bias)
        self.key_value = Linear(context_dim or embed_dim, 2 * embed_dim, bias=bias)
        self.out = Linear(embed_dim, embed_dim, bias=bias)

    def forward(self, x: Float[Tensor, "B L E"], context: Float[Tensor, "B S C"], mask: Mask | None = None) -> Float[Tensor, "B L E"]:
        return self.attend(x, *self.read(context), mask=mask)

    def read(self, context: Float[Tensor, "B S C"]) -> tuple[Float[Tensor, "B H S D"], Float[Tensor, "B H S D"]]:
        """Keys and values of the context."""
        k, v = (split(t, self.num_heads) for t in self.key_value(context).chunk(2, -1))
        return k, v

    def attend(
        self, x: Float[Tensor, "B L E"], k: Float[Tensor, "B H S D"], v: Float[Tensor, "B H S D"], mask: Mask | None = None
    ) -> Float[Tensor, "B L E"]:
        """Attention of x to keys and values that `read` gave."""
        q = split(self.query(x), self.num_heads)
        return self.out(merge(attention(q, k, v, mask=mask, dropout=self.dropout if self.training else 0.0)))


def split(x: Float[Tensor, "B L E"], num_heads: int) -> Float[Tensor, "B H L D"]:
    """The heads of x as a batch dimension."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def merge(x: Float[Tensor, "B H L D"]) -> Float[Tensor, "B L E"]:
    """The heads of x side by side."""
    return x.transpose(1, 2).flatten(2)


def check_heads(embed_dim: int, num_heads: int) -> None:
    """A ValueError unless the heads share the width equally."""
    if embed_dim % num_heads:
        raise ValueError(f"embed_dim {embed_dim} cannot be split into {num_heads} heads of equal width")
