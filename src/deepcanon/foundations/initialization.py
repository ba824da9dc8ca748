"""Initial weights: the deviation that keeps signals alive through depth.

    z_i = sum_j W_ij a_j       E[z^2] = I var(W) E[a^2]       a ReLU halves it

    normal       var(W) = 0.01^2          breaks symmetry, shrinks a tanh net's signal by 0.01 sqrt(I) a layer
    xavier       var(W) = 1 / I           keeps E[z^2] in a linear net         Glorot & Bengio 2010, with O = I
    glorot       var(W) = 2 / (I + O)     as many inputs as outputs count      Glorot & Bengio 2010
    kaiming      var(W) = 2 / I           keeps E[z^2] through ReLUs           He et al. 2015, arXiv 1502.01852
    orthogonal   W W' = 1 or W' W = 1     keeps the norm of a vector itself    Saxe, McClelland & Ganguli 2014, arXiv 1312.6120
    identity     W = 1                    a recurrent net that remembers       Le, Jaitly & Hinton 2015, arXiv 1504.00941
    zero_residual                         residual blocks that begin as x      Goyal et al. 2017, arXiv 1706.02677

I is the fan-in, for a convolution F_h F_w C; O the fan-out. Functions of a weight write in place and return it, as those of `torch.nn.init`.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.nets.resnet import Residual

Weights = Callable[[Tensor], Tensor]


def fans(weight: Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of a weight (O, I, *kernel). Raises ValueError for a vector, which has none."""
    if weight.ndim < 2:
        raise ValueError(f"expected a weight (out, in, ...), got {tuple(weight.shape)}: a bias has no fan-in")
    kernel = math.prod(weight.shape[2:])
    return weight.shape[1] * kernel, weight.shape[0] * kernel


@torch.no_grad()
def normal(weight: Tensor, std: float = 0.01) -> Tensor:
    """W ~ N(0, std^2). Raises ValueError for a deviation that is not above 0: equal weights learn equal units."""
    if not std > 0:
        raise ValueError(f"expected a deviation above 0, got {std}")
    return weight.normal_(0.0, std)


def xavier(weight: Tensor) -> Tensor:
    """W ~ N(0, 1 / I)."""
    fan_in, _ = fans(weight)
    return normal(weight, (1 / fan_in) ** 0.5)


def glorot(weight: Tensor) -> Tensor:
    """W ~ N(0, 2 / (I + O))."""
    return normal(weight, (2 / sum(fans(weight))) ** 0.5)


def kaiming(weight: Tensor) -> Tensor:
    """W ~ N(0, 2 / I)."""
    fan_in, _ = fans(weight)
    return normal(weight, (2 / fan_in) ** 0.5)


@torch.no_grad()
def orthogonal(weight: Tensor, gain: float = 1.0) -> Tensor:
    """gain times U V', the orthogonal factors of a Gaussian matrix (O, I) = U S V': orthonormal rows, or columns where there are more rows.

    Their product is spread evenly over all such matrices; U alone is not, since LAPACK settles its signs.
    """
    fans(weight)
    u, _, v = torch.linalg.svd(torch.randn_like(weight.flatten(1)), full_matrices=False)
    return weight.copy_(gain * (u @ v).view_as(weight))


@torch.no_grad()
def identity(weight: Float[Tensor, "O I"], gain: float = 1.0) -> Float[Tensor, "O I"]:
    """gain times the identity. Raises ValueError for a weight that is not square."""
    if weight.shape[0] != weight.shape[1]:
        raise ValueError(f"expected a square recurrent weight, got {tuple(weight.shape)}")
    return weight.copy_(gain * torch.eye(len(weight)))


def initialize(net: nn.Module, weights: Weights, bias: float = 0.0) -> nn.Module:
    """The net, the weights of its linear and convolution layers drawn by `weights`, their biases constant: 0, or 0.1 to start with active ReLUs."""
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            weights(layer.weight)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, bias)
    return net


@torch.no_grad()
def zero_residual(net: nn.Module) -> nn.Module:
    """The net, the last layer with parameters of every residual branch zero, so that a block H(x) = F(x) + x begins as the identity."""
    blocks = [block for block in net.modules() if isinstance(block, Residual)]
    if not blocks:
        raise ValueError(f"{type(net).__name__} has no residual block")
    for block in blocks:
        *_, last = (layer for layer in block.residual.modules() if next(layer.parameters(recurse=False), None) is not None)
        for p in last.parameters(recurse=False):
            p.zero_()
    return net
