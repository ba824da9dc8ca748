"""Normalisation: one equation over four groups of values.

    y = gamma (a - mu) / sqrt(var + eps) + beta,      mu = E[a],   var = E[(a - mu)^2]      over a group of values

    batch       one channel of all examples           Ioffe & Szegedy 2015, arXiv 1502.03167
    layer       all features of one example           Ba, Kiros & Hinton 2016, arXiv 1607.06450
    group       some channels of one example          Wu & He 2018, arXiv 1803.08494
    instance    one channel of one example            Ulyanov, Vedaldi & Lempitsky 2016, arXiv 1607.08022
    standardize one channel of the training set       LeCun, Bottou, Orr & Mueller 1998, "Efficient BackProp"

Batch normalisation makes the examples of a batch depend on each other, so outside training it takes running averages for mu and var,
m <- (1 - momentum) m + momentum mu (var there with n - 1 in the denominator); the other three do the same in training and in use.
Names, defaults and state dicts are those of torch's layers, which are the same functions fused and the
faster choice inside a net; `BatchNorm1d` and `BatchNorm2d` are torch's with running averages in float32.
Moments of 16-bit numbers are computed in float32: the variance of numbers above 256 is beyond float16.
B batch, C channels, H x W pixels, D features.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.checks import channels
from deepcanon.layers.precision import SIXTEEN_BITS, Float32Buffers, narrowed, widened


def normalize(a: Tensor, dims: Sequence[int], eps: float = 1e-5) -> Tensor:
    """(a - mu) / sqrt(var + eps), mean and variance shared over the axes `dims`, in the type of a."""
    return standard(a, *moments(a, dims), eps)


def moments(a: Tensor, dims: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance over the axes `dims`, which stay with length 1; in float32 or float64."""
    var, mu = torch.var_mean(widened(a), tuple(dims), correction=0, keepdim=True)
    return mu, var


def standard(a: Tensor, mu: Tensor, var: Tensor, eps: float) -> Tensor:
    """(a - mu) / sqrt(var + eps), in 16 bits if a is."""
    return narrowed((a - mu) * (var + eps).rsqrt(), like=a)


class BatchNorm(Float32Buffers, nn.Module):
    """Normalises each channel over the batch and all places; outside training by running averages.

    Args:
        num_channels: C.
        eps: added to the variance.
        momentum: weight of the newest batch in the running averages.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_channels: int, *, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        self.eps, self.momentum = positive(eps), momentum
        self.weight, self.bias = nn.Parameter(torch.ones(num_channels)), nn.Parameter(torch.zeros(num_channels))
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_var", torch.ones(num_channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, a: Float[Tensor, "B C *places"]) -> Float[Tensor, "B C *places"]:
        """Raises ValueError in training when a channel has a single value: it would have no variance."""
        if channels(a, len(self.weight)).dtype == torch.float64 != self.running_mean.dtype:
            raise ValueError(f"expected values in {self.running_mean.dtype}, as the running averages are, got "
                             f"{a.dtype}: bring the layer to it, `layer.double()`")
        each = (-1, *[1] * (a.ndim - 2))                                         # one value a channel, beside the places
        if not self.training:
            a = standard(a, self.running_mean.view(each), self.running_var.view(each), self.eps)
            return a * self.weight.view(each) + self.bias.view(each)
        n = a.numel() // a.shape[1]
        if n < 2:
            raise ValueError(f"batch normalisation trains on two values a channel or more, got a batch of shape {tuple(a.shape)}")
        mu, var = moments(a, [i for i in range(a.ndim) if i != 1])
        self.follow(mu.flatten(), var.flatten() * (n / (n - 1)))
        return standard(a, mu, var, self.eps) * self.weight.view(each) + self.bias.view(each)

    @torch.no_grad()
    def follow(self, mu: Float[Tensor, "C"], var: Float[Tensor, "C"]) -> None:
        """Moves the running averages towards this batch."""
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mu, self.momentum)
        self.running_var.lerp_(var, self.momentum)


class Float32Averages(Float32Buffers):
    """Of torch's batch normalisation: running averages in float32, gains and biases in the net's type."""

    weight: Any

    def forward(self, a: Float[Tensor, "B C *places"]) -> Float[Tensor, "B C *places"]:
        if self.weight is None or self.weight.dtype not in SIXTEEN_BITS:
            return super().forward(a)
        wide = {name: p.float() for name, p in self.named_parameters()}
        return torch.func.functional_call(self, wide, (a,))


class BatchNorm1d(Float32Averages, nn.BatchNorm1d):
    """torch's, with running averages in float32."""


class BatchNorm2d(Float32Averages, nn.BatchNorm2d):
    """torch's, with running averages in float32."""


class LayerNorm(nn.Module):
    """Normalises over the last axis, each example and each place for itself.

    Args:
        num_features: D.
        eps: added to the variance.
    """

    def __init__(self, num_features: int, *, eps: float = 1e-5):
        super().__init__()
        self.eps = positive(eps)
        self.weight, self.bias = nn.Parameter(torch.ones(num_features)), nn.Parameter(torch.zeros(num_features))

    def forward(self, a: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        return normalize(channels(a, len(self.weight), a.ndim - 1), [-1], self.eps) * self.weight + self.bias


class GroupNorm(nn.Module):
    """Normalises over groups of neighbouring channels and all places, each example for itself.

    Args:
        num_groups: of the channels; 1 is layer normalisation over C, H, W, and C is instance normalisation.
        num_channels: C, a multiple of it.
        eps: added to the variance.

    Raises:
        ValueError: groups that do not divide the channels.
    """

    def __init__(self, num_groups: int, num_channels: int, *, eps: float = 1e-5):
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"{num_groups} groups do not divide {num_channels} channels")
        self.num_groups, self.eps = num_groups, positive(eps)
        self.weight, self.bias = nn.Parameter(torch.ones(num_channels)), nn.Parameter(torch.zeros(num_channels))

    def forward(self, a: Float[Tensor, "B C *places"]) -> Float[Tensor, "B C *places"]:
        each = (-1, *[1] * (channels(a, len(self.weight)).ndim - 2))
        groups = a.unflatten(1, (self.num_groups, -1))                           # (B, G, C / G, *places)
        a = normalize(groups, range(2, groups.ndim), self.eps).flatten(1, 2)
        return a * self.weight.view(each) + self.bias.view(each)


class InstanceNorm(nn.Module):
    """Normalises each channel of each example over its places. Nothing is learned, as in torch's default.

    Args:
        eps: added to the variance.
    """

    def __init__(self, *, eps: float = 1e-5):
        super().__init__()
        self.eps = positive(eps)

    def forward(self, a: Float[Tensor, "B C *places"]) -> Float[Tensor, "B C *places"]:
        """Raises ValueError for one place a channel: it would have no variance."""
        if a[0, 0].numel() < 2:
            raise ValueError(f"instance normalisation needs two places a channel or more, got {tuple(a.shape)}")
        return normalize(a, range(2, a.ndim), self.eps)


class Standardize(Float32Buffers, nn.Module):
    """Takes images in [0, 1] to mean 0 and deviation 1, so that the zeros of padding are the average intensity.

    The constants are buffers: they travel with the weights, and a saved net reads raw images.

    Args:
        mean: one value, or one a channel.
        std: likewise.
        places: axes after the channels; 2 for images, 0 for rows of features.

    Raises:
        ValueError: a deviation that is not above 0.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: float | Sequence[float] | Tensor = 0.5, std: float | Sequence[float] | Tensor = 0.25, *, places: int = 2):
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(mean).view(-1, *[1] * places))
        self.register_buffer("std", torch.as_tensor(std).view(-1, *[1] * places))
        if not (self.std > 0).all():
            raise ValueError(f"expected deviations above 0, got {std}")

    def forward(self, x: Float[Tensor, "B C *places"]) -> Float[Tensor, "B C *places"]:
        if max(len(self.mean), len(self.std)) > 1:
            channels(x, max(len(self.mean), len(self.std)))
        a = widened(x)
        return narrowed((a - self.mean.to(a)) / self.std.to(a), like=x)


def standardize(train: Iterable) -> Standardize:
    """The layer fitted on one pass over the batches (x, ...) of a training set, x (B, C, *places); it must never see the test set.

    Raises:
        ValueError: a channel that is constant.
    """
    given = torch.cat([batch[0] for batch in train])
    x = given.double()
    std, mean = torch.std_mean(x, [i for i in range(x.ndim) if i != 1], correction=0)
    if constant := (std == 0).nonzero().flatten().tolist():
        raise ValueError(f"channels {constant} are constant over the training set: leave them out")
    dtype = given.dtype if given.dtype == torch.float64 else torch.float32
    return Standardize(mean.to(dtype), std.to(dtype), places=x.ndim - 2)


def positive(eps: float) -> float:
    """`eps`, which keeps the variance of a constant group above 0."""
    if not eps > 0:
        raise ValueError(f"expected an eps above 0, got {eps}: a group of equal values has the variance 0")
    return eps
