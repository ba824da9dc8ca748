"""GPT, the decoder-only transformer (Radford et al. 2018, 2019; Brown et al. 2020, arXiv 2005.14165).

    x_0     = token + position
    x_l     = h + MLP(LN(h)),      h = x_{l-1} + CausalAttention(LN(x_{l-1})),   MLP(y) = W_down GELU(W_up y),      l = 1 .. L
    logits  = LN(x_L) E'           E the token embedding (tied) or a matrix of its own

The form of GPT-2: LayerNorm before each part, residual projections started smaller by sqrt(2 L). GELU is exact; the published GPT-2 weights want its
tanh form: `block.gelu = nn.GELU("tanh")` in each block.
B batch, T positions, V vocabulary, H heads, D width of a head, E embedding.
"""

import math
from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.layers.cache import KVCache, empty_cache
from deepcanon.layers.dot_product_attention import SelfAttention, attention
from deepcanon.layers.linear_map import Linear, few_rows


class GPT(nn.Module):
    """Tokens (B, T) to logits (B, T, V) of the next token at each position.

    Args:
        vocab_size: V.
        context: most positions that it can read.
        num_layers, num_heads, embed_dim: L, H, E. The defaults are GPT-2 small's.
        dropout: after the embedding, in attention and after each part.
        bias: give linear maps and norms a bias.
        tied: use the token embedding as output matrix.
    """

    def __init__(
        self,
        vocab_size: int,
        context: int,
        *,
        num_layers: int = 12,
        num_heads: int = 12,
        embed_dim: int = 768,
        dropout: float = 0.0,
        bias: bool = True,
        tied: bool = True,
    ):
        super().__init__()
        self.context = context
        self.token = nn.Embedding(vocab_size, embed_dim)
        self.position = nn.Embedding(context, embed_dim)
        self.dropout = nn.Dropout(dropout)
        blocks = [Block(embed_dim, num_heads, dropout=dropout, bias=bias) for _ in range(num_layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(embed_dim, bias=bias)
        self.head = Linear(embed_dim, vocab_size, bias=False)
        if tied:
            self.head.weight = self.token.weight
        self.apply(initialize)
        for block in blocks:
            for projection in (block.attention.out, block.down):
                nn.init.normal_(projection.weight, std=0.02 / math.sqrt(2 * num_layers))

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        T = check(tokens, self.context)
        x = self.dropout(self.token(tokens) + self.position.weight[:T])          # (B, T, E)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    def decoder(self, dtype: torch.dtype | None = None) -> "Decoder":
        """The network as it is now, laid out for decoding."""
        return Decoder(self, dtype)


class Block(nn.Module):
    """Attention, then the MLP, each on the normalised stream and added to it."""

    def __init__(self, embed_dim: int, num_heads: int, *, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim, bias=bias)
        self.attention = SelfAttention(embed_dim, num_heads, causal=True, bias=bias, dropout=dropout)
        self.norm2 = nn.LayerNorm(embed_dim, bias=bias)
        self.up = Linear(embed_dim, 4 * embed_dim, bias=bias)
        self.gelu = nn.GELU()
        self.down = Linear(4 * embed_dim, embed_dim, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B T E"]) -> Float[Tensor, "B T E"]:
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.dropout(self.down(self.gelu(self.up(self.norm2(x)))))


class Decoder:
    """A GPT laid out for reading a few new positions at a time, after those in the caches; a copy of the weights, without autograd or dropout.

    `logits, caches = decoder(tokens, caches)`, tokens (B, T), gives the logits (B, V) after the last of them; begin with `decoder.start(B)`.

    Args:
        net: the network, read once.
        dtype: of the copy; torch.bfloat16 halves the memory traffic and rounds the logits to about three digits.
    """

    def __init__(self, net: GPT, dtype: torch.dtype | None = None):
        blocks = cast(list[Block], list(net.blocks))
        self.num_heads, self.context = blocks[0].attention.num_heads, net.context
        self.width = net.token.embedding_dim // self.num_heads
        self.token, self.position = (e.weight.detach().to(dtype) for e in (net.token, net.position))
        self.blocks = [
            (norm_of(b.norm1, dtype), few_rows(b.attention.qkv, dtype), few_rows(b.attention.out, dtype),
             norm_of(b.norm2, dtype), few_rows(b.up, dtype), b.gelu, few_rows(b.down, dtype))
            for b in blocks
        ]
        self.norm, self.head = norm_of(net.norm, dtype), few_rows(net.head, dtype)

    def start(self, batch: int) -> list[KVCache]:
        """An empty cache for each layer."""
        return [empty_cache(batch, self.num_heads, self.context, self.width, like=self.token) for _ in self.blocks]

    @torch.inference_mode()
    def __call__(self, tokens: Int[Tensor, "B T"], caches: list[KVCache]) -> tuple[Float[Tensor, "B V"], list[KVCache]]:
        (B, T), start = tokens.shape, caches[0].length
        if caches[0].buffer.shape[1] != B:
            raise ValueError(f"expected the {caches[0].buffer.shape[1]} rows that the caches began with, got {B}")
        if start + T > self.context:
            raise ValueError(f"{start + T} tokens do not fit the context of {self.context}")
        x = (self.token[tokens] + self.position[start : start + T]).flatten(0, 1)                         # (B T, E)
        grown = []
        for cache, (norm1, project, out, norm2, up, gelu, down) in zip(caches, self.blocks):
            qkv = project(norm1(x)).view(B, T, 3, self.num_heads, self.width).permute(2, 0, 3, 1, 4)      # (3, B, H, T, D)
            grown.append(cache.append(qkv[1:]))
            y = attention(qkv[0], *grown[-1].read(), causal=True)
            x = x + out(y.transpose(1, 2).reshape(B * T, -1))
            x = x + down(gelu(up(norm2(x))))
        return self.head(self.norm(x.view(B, T, -1)[:, -1])), grown


def norm_of(layer: nn.LayerNorm, dtype: torch.dtype | None) -> Callable[[Tensor], Tensor]:
    """The norm as a function, with a copy of its parameters."""
    weight, bias = (p if p is None else p.detach().to(dtype) for p in (layer.weight, layer.bias))
    return lambda x: F.layer_norm(x, weight.shape, weight, bias, layer.eps)


def initialize(module: nn.Module) -> None:
    """Weights N(0, 0.02^2), biases 0."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def check(tokens: Tensor, context: int) -> int:
    """T of tokens (B, T), which the context must hold."""
    if tokens.ndim != 2 or tokens.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"expected integer tokens (B, T), int32 or int64, got {tokens.dtype} {tuple(tokens.shape)}")
    if tokens.shape[1] > context:
        raise ValueError(f"{tokens.shape[1]} tokens do not fit the context of {context}")
    return tokens.shape[1]
