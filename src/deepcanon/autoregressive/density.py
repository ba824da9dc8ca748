"""Autoregressive density models (Larochelle & Murray 2011, AISTATS; van den Oord et al. 2016, arXiv 1601.06759).

    log p(x) = sum_i log p(x_i | x_1 .. x_{i-1}),      p(x_i | x_<i) = likelihood(net(x)_i)

x is cut into positions, here in raster order: the pixels of an image, the moments of a sound; its values into K levels. The net may be any that
keeps the order: its output at i must not depend on x_i or what follows. The density is exact and all positions are computed at once; a sample is
drawn a position at a time. A net that can `decode` reads each position once; of any other the whole output is computed anew for each.
B n batch, C channels, S shape of the positions, P numbers a position.
"""

import itertools
import math
from collections.abc import Generator
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.layers.checks import of_shape, on_levels, shaped
from deepcanon.layers.contract import checked
from deepcanon.layers.precision import typed_as


@checked
class AutoregressiveDensity(nn.Module):
    """A net that keeps the order, and what its output at a position means.

    Args:
        net: x (B, C, *S), or x and y when it has a `condition`, -> (B, P, *S): `GatedPixelCNN` or your own.
        likelihood: with `levels`, `log_prob` and `sample`, of `autoregressive.pixels`.
        shape: (C, *S) of an example.

    Raises:
        ValueError: a likelihood of another number of channels.
    """

    def __init__(self, net: nn.Module, likelihood: nn.Module, *, shape: tuple[int, ...]):
        super().__init__()
        self.net: Any = net
        self.likelihood: Any = likelihood
        if self.likelihood.channels != shape[0]:
            raise ValueError(f"expected a likelihood of {shape[0]} channels, got one of {self.likelihood.channels}")
        self.likelihood_is = getattr(likelihood, "likelihood_is", "exact")
        self.shape = shape
        self.conditional = getattr(net, "condition", None) is not None

    def loss(self, batch) -> Float[Tensor, ""]:
        """Mean bits a value."""
        return self.bits_per_dim(*self.reads(batch)).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        return {"bits_per_dim": self.bits_per_dim(*self.reads(batch))}

    def reads(self, batch) -> tuple[Tensor, ...]:
        """x, and the labels y if the model is conditional."""
        return tuple(batch[: 1 + self.conditional])

    def bits_per_dim(self, x: Float[Tensor, "B C *S"], y: Shaped[Tensor, "B *Y"] | None = None) -> Float[Tensor, "B"]:
        """-log2 p(x) for each of the values of x."""
        return -self.log_prob(x, y) / (math.prod(self.shape) * math.log(2))

    def log_prob(self, x: Float[Tensor, "B C *S"], y: Shaped[Tensor, "B *Y"] | None = None) -> Float[Tensor, "B"]:
        """log p(x), or log p(x | y), in nats.

        Raises:
            ValueError: x is not of the model's shape, outside [0, 1] or not on its levels; y is missing, or of no use; the net answers in
                another shape than (P, *S).
        """
        x = self.check(x)
        output = of_shape("the net's output", self.net(typed_as(self.net, x), *labels(y)), (len(x), self.likelihood.size, *self.shape[1:]))
        return self.likelihood.log_prob(output.movedim(1, -1), x.movedim(1, -1)).flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, n: int, y: Shaped[Tensor, "n *Y"] | None = None) -> Float[Tensor, "n C *S"]:
        """n draws of p(x), or of p(x | y) for each y.

        Raises:
            ValueError: not n of y.
        """
        if y is not None and len(y) != n:
            raise ValueError(f"expected y for each of {n} draws, got {len(y)}")
        C, *S = self.shape
        outputs = self.net.decode(n, tuple(S), *labels(y)) if hasattr(self.net, "decode") else decode(self.net, n, self.shape, y)
        values = [self.likelihood.sample(next(outputs))]                         # (n, C) each
        for _ in range(math.prod(S) - 1):
            values.append(self.likelihood.sample(outputs.send(values[-1])))
        return torch.stack(values, -1).view(n, C, *S)

    def check(self, x: Float[Tensor, "B C *S"]) -> Float[Tensor, "B C *S"]:
        """x as it is, if it has the model's shape and lies on its levels."""
        return on_levels(shaped(x, self.shape), self.likelihood.levels)


def labels(y: Tensor | None) -> tuple[Tensor, ...]:
    """The arguments after x: y if there is one."""
    return () if y is None else (y,)


@torch.no_grad()
def decode(net: nn.Module, n: int, shape: tuple[int, ...], y: Tensor | None = None) -> Generator[Tensor, Tensor, None]:
    """Yields the output (n, P) at each position in order, answered with the values (n, C) drawn there: the plain way, a whole pass for each."""
    x = next(net.parameters()).new_zeros(n, *shape)
    for i in itertools.product(*map(range, shape[1:])):
        x[:, :, *i] = yield net(x, *labels(y))[:, :, *i]
