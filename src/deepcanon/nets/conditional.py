"""Nets conditioned on a class: by a one-hot vector beside the input, or by a projection of the features.

    joined       net([x, onehot(y)])                                    Mirza & Osindero 2014, arXiv 1411.1784
    projected    head(f(x)) + v_y . f(x)                                Miyato & Koyama 2018, arXiv 1802.05637

B batch, N features of an input, K classes, F features.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.layers.linear_map import Linear


class Joined(nn.Module):
    """A net of flattened inputs that have their class behind them.

    Args:
        net: (B, N + K) -> anything.
        num_classes: K.
    """

    def __init__(self, net: nn.Module, num_classes: int):
        super().__init__()
        self.net, self.num_classes = net, num_classes

    def forward(self, x: Float[Tensor, "B ..."], y: Int[Tensor, "B"]) -> Float[Tensor, "B ..."]:
        return self.net(torch.cat([x.flatten(1), F.one_hot(y, self.num_classes).to(x)], 1))


class Projected(nn.Module):
    """A score of an input and a class.

    Args:
        features: (B, ...) -> (B, F).
        num_features: F.
        num_classes: K.
    """

    def __init__(self, features: nn.Module, num_features: int, num_classes: int):
        super().__init__()
        self.features, self.head, self.classes = features, Linear(num_features, 1), nn.Embedding(num_classes, num_features)

    def forward(self, x: Float[Tensor, "B ..."], y: Int[Tensor, "B"]) -> Float[Tensor, "B"]:
        f = self.features(x)
        return self.head(f).squeeze(1) + (self.classes(y) * f).sum(1)
