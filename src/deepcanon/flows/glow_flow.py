"""Glow (Kingma & Dhariwal 2018, arXiv 1807.03039).

    one step:   z = coupling(W (exp(s) (x + b))),      W a C x C matrix applied at every pixel:    log|det| = H W log|det W|

    plain       log|det W| by a factorisation in every step, O(C^3)
    LU          W = P L (U + diag(sign exp(log_s))),      log|det W| = sum log_s,    P fixed, L lower, U upper triangular

s and b are those of `actnorm`; W starts as a rotation, log|det W| = 0.
B batch, C channels, H x W pixels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.flows.actnorm import ActNorm
from deepcanon.flows.flow import Chain, Mapped
from deepcanon.flows.multiscale_flow import Squeezed, multiscale
from deepcanon.flows.realnvp_flow import channel_coupling
from deepcanon.layers.precision import narrowed, widened


class Conv1x1(nn.Module):
    """An invertible 1 x 1 convolution.

    Args:
        weight: W at the start, e.g. `rotation(channels)`.

    Raises:
        ValueError: a weight that is singular or not square.
    """

    def __init__(self, weight: Float[Tensor, "C D"]):
        super().__init__()
        regular(weight)
        self.weight = nn.Parameter(weight.clone())

    def forward(self, x: Float[Tensor, "B C H W"]) -> Mapped:
        with plain(x):
            return mixed(x, self.weight), self.log_det(x)

    def inverse(self, z: Float[Tensor, "B C H W"]) -> Mapped:
        with plain(z):
            inverse = torch.linalg.inv(widened(regular(self.weight)))
            return mixed(z, narrowed(inverse, like=self.weight)), -self.log_det(z)

    def log_det(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B"]:
        """H W log|det W|, for each example."""
        return (x[0, 0].numel() * torch.linalg.slogdet(widened(self.weight))[1]).expand(len(x))


class Conv1x1LU(nn.Module):
    """The same, its weight kept as factors: no determinant to compute, and no step of training can make it singular.

    Args:
        weight: W at the start, e.g. `rotation(channels)`.

    Raises:
        ValueError: a weight that is singular or not square.
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, weight: Float[Tensor, "C D"]):
        super().__init__()
        permutation, lower, upper = torch.linalg.lu(regular(weight))
        self.register_buffer("permutation", permutation)
        self.register_buffer("sign", upper.diagonal().sign())
        self.lower, self.upper = nn.Parameter(lower.tril(-1)), nn.Parameter(upper.triu(1))
        self.log_s = nn.Parameter(upper.diagonal().abs().log())

    def forward(self, x: Float[Tensor, "B C H W"]) -> Mapped:
        with plain(x):
            return mixed(x, self.permutation @ self.triangular()[0] @ self.triangular()[1]), self.log_det(x)

    def inverse(self, z: Float[Tensor, "B C H W"]) -> Mapped:
        with plain(z):
            lower, upper = (widened(factor) for factor in self.triangular())
            permuted = self.permutation.T.to(lower)
            back = torch.linalg.solve_triangular(lower, permuted, upper=False, unitriangular=True)
            inverse = torch.linalg.solve_triangular(upper, back, upper=True)
            return mixed(z, narrowed(inverse, like=self.lower)), -self.log_det(z)

    def triangular(self) -> tuple[Float[Tensor, "C C"], Float[Tensor, "C C"]]:
        """L, with ones on its diagonal, and U + diag(s)."""
        return self.lower.tril(-1) + torch.eye(len(self.lower)).to(self.lower), self.upper.triu(1) + torch.diag(self.sign * self.log_s.exp())

    def log_det(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B"]:
        """H W log|det W|, for each example."""
        return (x[0, 0].numel() * self.log_s.sum()).expand(len(x))


def mixed(x: Float[Tensor, "B C H W"], weight: Float[Tensor, "C C"]) -> Float[Tensor, "B C H W"]:
    """W times the channels of every pixel, in the precision of W."""
    return F.conv2d(x.to(weight), weight[:, :, None, None])


def plain(x: Tensor) -> torch.autocast:
    """No autocast: rounded to bfloat16, an inverse would not undo its map."""
    return torch.autocast(x.device.type, enabled=False)


def regular(weight: Float[Tensor, "C D"]) -> Float[Tensor, "C C"]:
    """The weight, if it is square and can be inverted in its precision."""
    rows, columns = weight.shape
    if rows != columns or torch.linalg.cond(widened(weight.detach())) > 0.1 / torch.finfo(weight.dtype).eps:
        raise ValueError(f"a 1 x 1 convolution of a flow needs a square weight that can be inverted, got {rows} x {columns}"
                         f"{', which is singular' if rows == columns else ''}")
    return weight


def rotation(channels: int) -> Float[Tensor, "C C"]:
    """A random orthogonal matrix."""
    return nn.init.orthogonal_(torch.empty(channels, channels))


def step(channels: int, width: int, context_dim: int = 0) -> Chain:
    """One step of flow."""
    return Chain(ActNorm(channels), Conv1x1LU(rotation(channels)), channel_coupling(channels, width, context_dim, swap=False))


def glow(shape: tuple[int, int, int], *, scales: int = 2, num_steps: int = 8, width: int = 64,
         context_dim: int = 0) -> Squeezed:
    """Glow on images (C, H, W).

    Args:
        shape: C, H, W.
        scales: L, how often the image is squeezed.
        num_steps: K, steps at each scale.
        width: of the couplings' nets.
        context_dim: numbers of a context, which all couplings get; 0 for none.

    Raises:
        ValueError: a side that cannot be halved `scales` times.
    """
    return multiscale(shape, scales, lambda c: Chain(*(step(c, width, context_dim) for _ in range(num_steps))),
                      lambda c: channel_coupling(c, width, context_dim, swap=True))
