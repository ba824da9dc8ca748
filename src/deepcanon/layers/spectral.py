"""Spectral normalisation (Miyato, Kataoka, Koyama & Yoshida 2018, arXiv 1802.05957): weights of largest singular value one.

    W <- W / sigma(W),    sigma(W) = max_{||v|| = 1} ||W v|| = u' W v
    u <- W v / ||W v||,   v <- W' u / ||W' u||        one power iteration each training step

A net of such layers and of activations with slopes of at most one has a slope of at most one: ||f o g||_Lip <= ||f||_Lip ||g||_Lip.
A convolution's kernel counts as the matrix (O, I k k). O outputs, I all the rest.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from deepcanon.layers.precision import Float32Buffers, narrowed, widened

NORMALISED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class SpectralNorm(Float32Buffers, nn.Module):
    """A parametrisation of one weight.

    Args:
        weight: its first value, from which the first singular vectors are found.
        dim: the axis of the outputs.
        iterations: of the power method, at the start.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, *, dim: int = 0, iterations: int = 15):
        super().__init__()
        self.dim = dim
        matrix = self.matrix(weight.detach())
        self.register_buffer("u", F.normalize(torch.randn_like(matrix[:, 0]), dim=0))
        self.register_buffer("v", F.normalize(matrix.T @ self.u, dim=0))
        for _ in range(iterations):
            self.iterate(matrix)

    def forward(self, weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        with torch.autocast(weight.device.type, enabled=False):                  # u, v: running averages
            matrix = self.matrix(weight)
            if self.training:
                self.iterate(matrix)
            return narrowed(weight / self.sigma(matrix), like=weight)

    def sigma(self, matrix: Float[Tensor, "O I"]) -> Float[Tensor, ""]:
        """u' W v; the vectors are copied, since the next step writes over them."""
        return self.u.clone() @ matrix @ self.v.clone()

    @torch.no_grad()
    def iterate(self, matrix: Float[Tensor, "O I"]) -> None:
        """One step of the power method."""
        self.u.copy_(F.normalize(matrix @ self.v, dim=0))
        self.v.copy_(F.normalize(matrix.T @ self.u, dim=0))

    def matrix(self, weight: Tensor) -> Float[Tensor, "O I"]:
        """The weight as the matrix of its outputs, in float32 or float64."""
        return widened(weight).movedim(self.dim, 0).flatten(1)


class Scale(nn.Module):
    """A constant factor."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return self.factor * x


def normalise(layer: nn.Module, norm: SpectralNorm, *, unsafe: bool = False) -> None:
    """Puts the parametrisation on a layer's weight; the layer can be pickled. unsafe: without a trial."""
    parametrize.register_parametrization(layer, "weight", norm, unsafe=unsafe)
    kind: Any = type(layer)
    kind.__reduce__ = parts


def parts(layer: Any) -> tuple:
    """What a normalised layer is pickled as: its class without the parametrisation, state, weight, norm."""
    state, weight = vars(layer).copy(), layer.parametrizations.weight
    state["_modules"] = {name: m for name, m in layer._modules.items() if name != "parametrizations"}
    return restored, (type(layer).__bases__[0], state, weight.original, weight[0])


def restored(base: type[nn.Module], state: dict, weight: nn.Parameter, norm: SpectralNorm) -> nn.Module:
    """The layer of these parts."""
    layer: Any = base.__new__(base)
    layer.__setstate__(state)
    layer.weight = weight
    normalise(layer, norm, unsafe=True)
    layer.parametrizations.train(layer.training)
    return layer


def spectral_norm(net: nn.Module, *, slope: float = 1.0) -> nn.Module:
    """The net with every linear map and convolution in it normalised, in place, and with its answer times the slope that it may have at most.

    Raises:
        ValueError: a weight that is normalised already, or all zeros.
    """
    for layer in list(net.modules()):
        if isinstance(layer, NORMALISED):
            if parametrize.is_parametrized(layer, "weight") or not layer.weight.any():
                raise ValueError(f"expected weights that are not 0 and not normalised yet, got those of {layer}")
            outputs = 1 if "Transpose" in type(layer).__name__ else 0
            normalise(layer, SpectralNorm(layer.weight, dim=outputs))
    if slope == 1:
        return net
    layers = [*list(net)[:-1], nn.Sequential(net[-1], Scale(slope))] if isinstance(net, nn.Sequential) else [net, Scale(slope)]
    return nn.Sequential(*layers)                                                # as many layers, the last of them scaled
