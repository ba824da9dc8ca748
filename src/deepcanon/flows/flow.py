"""Normalizing flow: a density by change of variables (Rezende & Mohamed 2015, arXiv 1505.05770; Tabak & Turner 2013).

    z = f(x),   log p(x) = log N(z; 0, I) + log|det dz/dx|,      f = f_K o ... o f_1:   log|det dz/dx| = sum_k log|det df_k/dx_{k-1}|

f is made of *transforms*, modules with two maps that undo each other:

    forward(x) -> z, log|det dz/dx|                inverse(z) -> x, log|det dx/dz|

A general determinant costs O(D^3); each transform of this family has one that costs O(D). z has as many numbers as x.
With a context c the density is p(x | c): every transform with a net, `takes_context`, gets c as a second argument.
B batch, D shape of a data point, Z of its z, K numbers of a context, n samples.
"""

import math
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.flows.functional import standard_normal, unchanged
from deepcanon.layers.checks import of_shape
from deepcanon.layers.contract import checked
from deepcanon.layers.precision import typed_as

Context = Float[Tensor, "B K"] | None
Mapped = tuple[Float[Tensor, "B *Z"], Float[Tensor, "B"]]             # a point and the logarithm of a determinant


@runtime_checkable
class Transform(Protocol):
    """An invertible map with the logarithm of its determinant, both ways."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]: ...
    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]: ...


@checked
class Flow(nn.Module):
    """A density over real data points.

    Args:
        transform: f, a `Chain` of transforms.
        shape: of z.
        context_dim: K; 0 for a density without a context. Then batches hold data points and their contexts, or labels of K classes.

    Raises:
        ValueError: a transform that has no inverse.
    """

    likelihood_is = "exact"

    def __init__(self, transform: nn.Module, shape: tuple[int, ...], *, context_dim: int = 0):
        super().__init__()
        invertible(transform)
        self.transform: Any = transform
        self.shape, self.context_dim = shape, context_dim

    def loss(self, batch) -> Float[Tensor, ""]:
        """Negative log-likelihood in nats an example."""
        return -self.log_prob(*batch[: 1 + (self.context_dim > 0)]).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        return {"nll": -self.log_prob(*batch[: 1 + (self.context_dim > 0)])}

    def log_prob(self, x: Float[Tensor, "B *D"], context: Shaped[Tensor, "B *K"] | None = None) -> Float[Tensor, "B"]:
        """log p(x), or log p(x | context), in nats; it passes gradients.

        Raises:
            ValueError: data points or contexts of another shape, or a transform that gives more than one log-determinant for each.
        """
        z, log_det = self.mapped(x, context)
        log_prob = standard_normal(z) + log_det
        if log_prob.shape != x.shape[:1]:
            raise ValueError(f"expected one log-determinant for each of {len(x)} data points, got shape {tuple(log_det.shape)}")
        return log_prob

    def mapped(self, x: Float[Tensor, "B *D"], context: Shaped[Tensor, "B *K"] | None = None) -> Mapped:
        """f(x) and log|det dz/dx|. Raises ValueError for data points that do not become z of the flow's shape, number by number."""
        z, log_det = mapped(self.transform, typed_as(self, x), self.as_context(context, len(x)))
        if z.shape != (len(x), *self.shape) or z.numel() != x.numel():
            raise ValueError(f"expected data points that become z of shape {self.shape}, got shape {tuple(x.shape[1:])}, "
                             f"z {tuple(z.shape[1:])}")
        return z, log_det

    def as_context(self, context: Shaped[Tensor, "B *K"] | None, rows: int) -> Float[Tensor, "B K"] | None:
        """The context as the transforms take it: labels as one in K.

        Raises:
            ValueError: a context that is missing, of another shape, or that nobody takes, or a label that is none.
        """
        if self.context_dim == 0 and context is None:
            return None
        if context is None or self.context_dim == 0:
            raise ValueError(f"expected {'a context of' if context is None else 'no context,'} {self.context_dim or 'this density has none'}"
                             f"{' numbers for each data point, got none' if context is None else ''}")
        if context.ndim == 1 and not context.is_floating_point():
            if len(context) and not 0 <= int(context.min()) <= int(context.max()) < self.context_dim:
                raise ValueError(f"expected labels in 0 ... {self.context_dim - 1}, got {int(context.min())} to {int(context.max())}")
            context = torch.nn.functional.one_hot(context, self.context_dim).float()
        return typed_as(self, of_shape("a context", context, (rows, self.context_dim)))

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "B *D"], context: Shaped[Tensor, "B *K"] | None = None) -> Float[Tensor, "B *Z"]:
        """z = f(x).

        Raises:
            ValueError: data points of another shape, or a scale that overflows.
        """
        return finite(self.mapped(x, context)[0])

    @torch.no_grad()
    def sample(self, n: int, temperature: float = 1.0, *, context: Shaped[Tensor, "n *K"] | None = None) -> Float[Tensor, "n *D"]:
        """n data points f^-1(z), z ~ N(0, temperature^2 I); with a context one for each of its rows."""
        return finite(inverted(self.transform, temperature * self.noise(n), self.as_context(context, n))[0])

    def noise(self, n: int) -> Float[Tensor, "n *Z"]:
        """n draws of z ~ N(0, I), on the transform's device."""
        return next(self.parameters()).new_empty(n, *self.shape).normal_()


class Chain(nn.Module):
    """Transforms one after the other; the logarithms of their determinants add up.

    Raises:
        ValueError: one of them has no inverse.
    """

    takes_context = True

    def __init__(self, *transforms: nn.Module):
        super().__init__()
        for transform in transforms:
            invertible(transform)
        self.transforms: Any = nn.ModuleList(transforms)

    def forward(self, x: Float[Tensor, "B *D"], context: Context = None) -> Mapped:
        total = unchanged(x)
        for transform in self.transforms:
            x, log_det = mapped(transform, x, context)
            total = total + log_det
        return x, total

    def inverse(self, z: Float[Tensor, "B *D"], context: Context = None) -> Mapped:
        total = unchanged(z)
        for transform in reversed(self.transforms):
            z, log_det = inverted(transform, z, context)
            total = total + log_det
        return z, total


def mapped(transform: Any, x: Float[Tensor, "B *D"], context: Context) -> Mapped:
    """transform(x), with the context if there is one and the transform takes it."""
    return transform(x) if context is None or not getattr(transform, "takes_context", False) else transform(x, context)


def inverted(transform: Any, z: Float[Tensor, "B *D"], context: Context) -> Mapped:
    """transform.inverse(z), with the context if there is one and the transform takes it."""
    takes = context is not None and getattr(transform, "takes_context", False)
    return transform.inverse(z, context) if takes else transform.inverse(z)


def answer(net: Any, x: Float[Tensor, "B C *D"], context: Context) -> Tensor:
    """net(x), or with a context net(x, context)."""
    return net(x) if context is None else net(x, context)


class Reverse(nn.Module):
    """The order of the numbers (of the channels, of an image) turned around, so that what one layer kept the next one changes."""

    def forward(self, x: Float[Tensor, "B *D"]) -> Mapped:
        return x.flip(1), unchanged(x)

    def inverse(self, z: Float[Tensor, "B *D"]) -> Mapped:
        return self(z)


class Flatten(nn.Module):
    """Data points of any shape as rows of numbers.

    Args:
        shape: D.
    """

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape = shape

    def forward(self, x: Float[Tensor, "B *D"]) -> Mapped:
        if x.shape[1:] != self.shape:
            raise ValueError(f"expected data points of shape {self.shape}, got {tuple(x.shape[1:])}")
        return x.flatten(1), unchanged(x)

    def inverse(self, z: Float[Tensor, "B E"]) -> Mapped:
        return z.unflatten(1, self.shape), unchanged(z)


class Logit(nn.Module):
    """z = log(u / (1 - u)), u = a + (1 - 2 a) x: numbers in (0, 1) on the real line (Dinh et al. 2017, section 4.1; a there: 0.05).

    Args:
        margin: a, at least 0, which keeps u off 0 and 1.
    """

    def __init__(self, margin: float = 0.05):
        super().__init__()
        if not 0 <= margin < 0.5:
            raise ValueError(f"expected a margin in [0, 0.5), got {margin}")
        self.margin = margin

    def forward(self, x: Float[Tensor, "B *D"]) -> Mapped:
        u = self.margin + (1 - 2 * self.margin) * x
        if not (u.amin() >= 0 and u.amax() <= 1):
            raise ValueError(f"expected numbers in [0, 1], which have a logit, got some from {x.amin():.3g} to {x.amax():.3g}")
        slope = math.log(1 - 2 * self.margin) - u.log() - torch.log1p(-u)        # log dz/dx
        return u.logit(), slope.flatten(1).sum(1)

    def inverse(self, z: Float[Tensor, "B *D"]) -> Mapped:
        u = z.sigmoid()
        slope = torch.nn.functional.logsigmoid(z) + torch.nn.functional.logsigmoid(-z) - math.log(1 - 2 * self.margin)
        return (u - self.margin) / (1 - 2 * self.margin), slope.flatten(1).sum(1)


def invertible(transform: object) -> None:
    """Refuses with a ValueError what is no `Transform`, as a linear layer or an activation are none."""
    if not isinstance(transform, Transform):
        raise ValueError(f"a flow is made of transforms, which have an inverse and a log-determinant; {type(transform).__name__} has none")


def finite(x: Tensor) -> Tensor:
    """x, unless a scale has overflowed on the way."""
    if not x.isfinite().all():
        raise ValueError("the flow cannot be inverted here: a scale exp(s) has overflowed; bound the scales or train with a lower rate")
    return x
