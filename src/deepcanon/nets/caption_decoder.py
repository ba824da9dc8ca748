"""A recurrent net that says words while it looks at an image (Vinyals et al. 2015, arXiv 1411.4555; Xu et al. 2015, arXiv 1502.03044).

    h_0 = tanh(W_0 mean_i v_i)                                  the image starts the net
    e_ti = w' tanh(W_v v_i + W_h h_{t-1}),   p_t = softmax(e_t / tau),   z_t = sum_i p_ti v_i
    h_t = GRU([E y_{t-1}, z_t], h_{t-1}),    logits_t = W_o [h_t, z_t]

v_1 ... v_L are the D features of each place of a convolutional map. Without attention z does not occur: after the start
the net does not see the image again. B batch, T words, L places, D features, H hidden, V vocabulary.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.nets.resnet import conv_norm

START = 1                                               # the number of the word before the first one
Pick = Callable[[Tensor], Tensor]                       # weights (B, L) -> those that are used


class Told(NamedTuple):
    """Logits of the words, the weights of the places before each, and the weights that were used."""

    logits: Float[Tensor, "B T V"]
    weights: Float[Tensor, "B T L"]
    used: Float[Tensor, "B T L"]


class AdditiveAttention(nn.Module):
    """Weights of places by a small net of each place and of the state (Bahdanau et al. 2015).

    Args:
        feature_dim, hidden_dim: D and H.
        width: units of the small net.
        temperature: tau; near 0 all weight is at the highest score.
    """

    def __init__(self, feature_dim: int, hidden_dim: int, *, width: int = 64, temperature: float = 1.0):
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"expected a temperature above 0, got {temperature}")
        self.temperature = temperature
        self.of_place, self.of_state = nn.Linear(feature_dim, width), nn.Linear(hidden_dim, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, features: Float[Tensor, "B L D"], h: Float[Tensor, "B H"]) -> Float[Tensor, "B L"]:
        scores = self.score((self.of_place(features) + self.of_state(h).unsqueeze(1)).tanh()).squeeze(-1)
        return (scores.float() / self.temperature).softmax(-1).to(features.dtype)


class CaptionDecoder(nn.Module):
    """The features of an image and the words so far, to logits of the next word.

    Args:
        vocab_size: V; number 0 fills up, 1 starts, 2 ends.
        feature_dim: D.
        embed_dim, hidden_dim: of words, H.
        attention: (features, h) -> weights of the places; None looks at the start only.
        dropout: share of units left out before the logits.
    """

    def __init__(self, vocab_size: int, feature_dim: int, *, embed_dim: int = 64, hidden_dim: int = 128,
                 attention: nn.Module | None = None, dropout: float = 0.0):
        super().__init__()
        self.vocab_size, self.feature_dim, self.attention = vocab_size, feature_dim, attention
        seen = feature_dim if attention is not None else 0
        self.word, self.first = nn.Embedding(vocab_size, embed_dim), nn.Linear(feature_dim, hidden_dim)
        self.cell = nn.GRUCell(embed_dim + seen, hidden_dim)
        self.dropout, self.out = nn.Dropout(dropout), nn.Linear(hidden_dim + seen, vocab_size)

    def forward(self, features: Float[Tensor, "B L D"], words: Int[Tensor, "B T"], pick: Pick | None = None) -> Told:
        """All steps, each given the true words before it.

        Args:
            features: of the places.
            words: y_1 ... y_T.
            pick: weights -> the weights that are used; None uses them as they are.
        """
        h, said = self.start(features), torch.full_like(words[:, 0], START)
        steps = []
        for t in range(words.shape[1]):
            logits, h, weights, used = self.step(features, said, h, pick)
            steps.append((logits, weights, used))
            said = words[:, t]
        return Told(*(torch.stack(part, 1) for part in zip(*steps)))

    def start(self, features: Float[Tensor, "B L D"]) -> Float[Tensor, "B H"]:
        """h_0. Raises ValueError for features of another form."""
        if features.ndim != 3 or features.shape[2] != self.feature_dim:
            raise ValueError(f"expected features (B, L, {self.feature_dim}), got {tuple(features.shape)}")
        return self.first(features.mean(1)).tanh()

    def step(self, features: Float[Tensor, "B L D"], said: Int[Tensor, "B"], h: Float[Tensor, "B H"],
             pick: Pick | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits (B, V) of the word after `said`, the new state, the weights of the places, and those used (B, L)."""
        if self.attention is None:
            weights = used = features.new_full(features.shape[:2], 1 / features.shape[1])
            inputs, seen = self.word(said), []
        else:
            weights = self.attention(features, h)
            used = weights if pick is None else pick(weights)
            z = (used.unsqueeze(1) @ features).squeeze(1)                        # (B, D)
            inputs, seen = torch.cat([self.word(said), z], 1), [z]
        h = self.cell(inputs.to(h.dtype), h)
        return self.out(self.dropout(torch.cat([h, *seen], 1))), h, weights, used


def conv_maps(in_channels: int, width: int, halvings: int, *, standardize: nn.Module | None = None) -> tuple[nn.Module, int]:
    """An encoder of images, two convolutions a halving of the sides, and its number of features: 4 width, 2 width after one."""
    layers, channels = [conv_norm(in_channels, width, 3), nn.ReLU(inplace=True)], width
    for level in range(halvings):
        wider = width * 2 ** min(level + 1, 2)
        layers += [conv_norm(channels, wider, 3, 2), nn.ReLU(inplace=True), conv_norm(wider, wider, 3), nn.ReLU(inplace=True)]
        channels = wider
    return nn.Sequential(standardize or nn.Identity(), *layers), channels
