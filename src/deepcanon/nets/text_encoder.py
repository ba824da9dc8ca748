"""Text encoder of CLIP (Radford et al. 2021, arXiv 2103.00020): a causal transformer, read at the last word.

    h = blocks(token + position),    c = W LN(h_last)

Number 0 fills up short sentences, and is never looked at: it stands after the last word. B batch, T words, V vocabulary, E width, C width of c.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.nets.gpt import Block


class TextEncoder(nn.Module):
    """Sentences of word numbers (B, T), to one vector each (B, C).

    Args:
        vocab_size: V, the filling included.
        context: most words of a sentence.
        out_dim: C.
        embed_dim, num_layers, num_heads: of the transformer.
    """

    def __init__(self, vocab_size: int, context: int, out_dim: int, *, embed_dim: int = 64, num_layers: int = 1, num_heads: int = 4):
        super().__init__()
        self.context = context
        self.token, self.position = nn.Embedding(vocab_size, embed_dim), nn.Embedding(context, embed_dim)
        self.blocks = nn.Sequential(*(Block(embed_dim, num_heads) for _ in range(num_layers)))
        self.head = nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, out_dim))

    def forward(self, words: Int[Tensor, "B T"]) -> Float[Tensor, "B C"]:
        """c. Raises ValueError for sentences that are too long or empty."""
        length = (words > 0).sum(1)                                              # (B,)
        if words.shape[1] > self.context or (length == 0).any():
            raise ValueError(f"expected sentences of 1 to {self.context} words, got {int(length.min())} to {words.shape[1]}")
        h = self.blocks(self.token(words) + self.position.weight[: words.shape[1]])   # (B, T, E)
        return self.head(h[torch.arange(len(h), device=h.device), length - 1])
