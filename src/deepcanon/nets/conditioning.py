"""A net with a context: y = net((x; c)), c beside x as further channels (Mirza & Osindero 2014, arXiv 1411.1784).

B batch, C channels (of a vector: its numbers), D places, K numbers of the context.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import of_shape


class Conditioned(nn.Module):
    """(x, context) -> net of both, the context the same at every place.

    Args:
        net: of C + K channels.
        context_dim: K.
    """

    def __init__(self, net: nn.Module, context_dim: int):
        super().__init__()
        if context_dim < 1:
            raise ValueError(f"expected a context of one number or more, got {context_dim}")
        self.net, self.context_dim = net, context_dim

    def forward(self, x: Float[Tensor, "B C *D"], context: Float[Tensor, "B K"]) -> Tensor:
        """Raises ValueError for a context of another shape."""
        of_shape("a context", context, (len(x), self.context_dim))
        places = x.shape[2:]
        spread = context.to(x).reshape(*context.shape, *[1] * len(places)).expand(*context.shape, *places)
        return self.net(torch.cat([x, spread], 1))


def conditioned(make, in_channels: int, context_dim: int) -> nn.Module:
    """`make(in_channels)`, or with a context a net of as many channels more, which gets it as well."""
    return make(in_channels) if context_dim == 0 else Conditioned(make(in_channels + context_dim), context_dim)
