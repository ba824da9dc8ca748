"""Real NVP: affine couplings (Dinh, Sohl-Dickstein & Bengio 2017, arXiv 1605.08803).

    z_a = x_a,   z_b = x_b exp(s(x_a)) + t(x_a)        x_b = (z_b - t(z_a)) exp(-s(z_a))        log|det| = sum s
    z = b x + (1 - b) (x exp(s(b x)) + t(b x))         the same with a binary mask b in place of halves, as on a checkerboard

s and t are the two outputs of any net. s is bent to stay within a bound, so that exp(s) cannot overflow.
On images: couplings on a checkerboard, then on channels, at every scale of `multiscale`.
B batch, C channels (of a vector: its numbers), D other dimensions, H x W pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.flows.actnorm import ActNorm
from deepcanon.flows.flow import Chain, Context, Mapped, answer
from deepcanon.flows.functional import bounded, half_sizes, halves, joined
from deepcanon.flows.multiscale_flow import multiscale
from deepcanon.layers.checks import shaped
from deepcanon.nets.conditioning import conditioned
from deepcanon.nets.coupling import coupling_net
from deepcanon.nets.perceptron import mlp


class AffineCoupling(nn.Module):
    """One half of the channels scaled and shifted by functions of the other.

    Args:
        net: kept half -> s and t, side by side along dimension 1.
        swap: keep the second half in place of the first.
        bound: of |s|.
    """

    takes_context = True

    def __init__(self, net: nn.Module, *, swap: bool = False, bound: float = 3.0):
        super().__init__()
        self.net, self.swap, self.bound = net, swap, bound

    def forward(self, x: Float[Tensor, "B C *D"], context: Context = None) -> Mapped:
        a, b = halves(x, self.swap)
        s, t = self.scale_and_shift(a, b, context)
        return joined(a, torch.addcmul(t, b, s.exp()), self.swap), s.flatten(1).sum(1)

    def inverse(self, z: Float[Tensor, "B C *D"], context: Context = None) -> Mapped:
        a, b = halves(z, self.swap)
        s, t = self.scale_and_shift(a, b, context)
        return joined(a, (b - t) * torch.exp(-s), self.swap), -s.flatten(1).sum(1)

    def scale_and_shift(self, a: Float[Tensor, "B C1 *D"], b: Float[Tensor, "B C2 *D"],
                        context: Context = None) -> tuple[Float[Tensor, "B C2 *D"], Float[Tensor, "B C2 *D"]]:
        """s(a) and t(a), a number for each of b."""
        s, t = shaped(answer(self.net, a, context), (2 * b.shape[1], *b.shape[2:])).chunk(2, 1)
        return bounded(s, self.bound), t


class MaskedCoupling(nn.Module):
    """What a mask leaves out scaled and shifted by functions of what it keeps.

    Args:
        net: b x -> s and t, side by side along dimension 1.
        mask: b, of a data point's shape, 1 where a number is kept.
        bound: of |s|.

    Raises:
        ValueError: a mask of other values than 0 and 1: the map could not be inverted.
    """

    mask: Tensor
    takes_context = True

    def __init__(self, net: nn.Module, mask: Float[Tensor, "*D"], *, bound: float = 3.0):
        super().__init__()
        if not ((mask == 0) | (mask == 1)).all():
            raise ValueError("a coupling's mask is of 0 and 1: a number both kept and changed could not be computed back")
        self.net, self.bound = net, bound
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Float[Tensor, "B *D"], context: Context = None) -> Mapped:
        s, t = self.scale_and_shift(x, context)
        return torch.addcmul(t, x, s.exp()), s.flatten(1).sum(1)

    def inverse(self, z: Float[Tensor, "B *D"], context: Context = None) -> Mapped:
        s, t = self.scale_and_shift(z, context)
        return (z - t) * torch.exp(-s), -s.flatten(1).sum(1)

    def scale_and_shift(self, x: Float[Tensor, "B *D"],
                        context: Context = None) -> tuple[Float[Tensor, "B *D"], Float[Tensor, "B *D"]]:
        """s(b x) and t(b x), both 0 where x is kept."""
        s, t = answer(self.net, self.mask * x, context).chunk(2, 1)
        return bounded(s, self.bound) * (1 - self.mask), t * (1 - self.mask)


def checkerboard(height: int, width: int) -> Float[Tensor, "1 H W"]:
    """1 where row and column are both even or both odd."""
    return (1.0 - (torch.arange(height)[:, None] + torch.arange(width)) % 2).unsqueeze(0)


def realnvp(dim: int, *, hidden: tuple[int, ...] = (128, 128), num_layers: int = 5, context_dim: int = 0) -> Chain:
    """Real NVP on vectors: couplings that take turns in which half they keep; with a context all of them get it.

    Raises:
        ValueError: fewer than two dimensions.
    """
    layers = []
    for k in range(num_layers):
        kept, changed = half_sizes(dim, swap := k % 2 == 1)
        layers.append(AffineCoupling(conditioned(lambda n, out=2 * changed: mlp(n, *hidden, out), kept, context_dim), swap=swap))
    return Chain(*layers)


def realnvp_images(shape: tuple[int, int, int], *, scales: int = 2, width: int = 64, context_dim: int = 0) -> Chain:
    """Real NVP on images (C, H, W): four couplings on a checkerboard, then at every scale four that take turns in the half of the channels they keep.

    Raises:
        ValueError: a side that cannot be halved `scales` times.
    """
    channels, height, pixels = shape
    board = checkerboard(height, pixels)
    first = [layer for k in range(4) for layer in (
        ActNorm(channels), MaskedCoupling(convolutions(channels, 2 * channels, width, context_dim), board if k % 2 else 1 - board))]
    return Chain(*first, multiscale(shape, scales, lambda c: Chain(*(layer for k in range(4) for layer in (
        ActNorm(c), channel_coupling(c, width, context_dim, swap=k % 2 == 1)))), lambda c: channel_coupling(c, width, context_dim, swap=True)))


def channel_coupling(channels: int, width: int, context_dim: int = 0, *, swap: bool) -> AffineCoupling:
    """An affine coupling of the halves of the channels of an image."""
    kept, changed = half_sizes(channels, swap)
    return AffineCoupling(convolutions(kept, 2 * changed, width, context_dim), swap=swap)


def convolutions(in_channels: int, out_channels: int, width: int, context_dim: int) -> nn.Module:
    """The net of a coupling of images, which gets the context if there is one."""
    return conditioned(lambda n: coupling_net(n, out_channels, width=width), in_channels, context_dim)
