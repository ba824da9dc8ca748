"""Acting without torch's overhead: a small net as a numpy function that shares the net's weights.

A step of a classic control task costs microseconds, a torch call on one observation ten times that. On the
CPU a tensor and its numpy view are the same memory: what the optimizer writes in place is what the next
action sees.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from deepcanon.layers.linear_map import Linear
from deepcanon.layers.precision import widened

Layer = Callable[[np.ndarray], np.ndarray]


class NumpyNet:
    """`net` as a function of one observation, (...) -> (out,), or in `rows` of N, (N, ...) -> (N, out),
    without gradients.

    `nn.Sequential` (nested too) of Linear, ReLU and Tanh with float32 weights on the CPU runs in numpy, any
    other net in torch. Optimizers, `lerp_` and `load_state_dict` write in place and are seen at once; weights
    that moved to other memory are found again.
    """

    def __init__(self, net: nn.Module):
        self.net = net
        self.homes: list[tuple[dict[str, Any], str]] = [
            (module._parameters, name)
            for module in net.modules()
            for name, p in module._parameters.items()
            if p is not None
        ]
        self.places: list[int] = []
        self.layers: list[Layer] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the views: a copy finds its own weights, even where they lie at the addresses of these."""
        return vars(self) | {"places": [], "layers": None}

    def __call__(self, x: np.ndarray) -> Float[np.ndarray, "out"]:
        return self.forward(x) if self.has_layers() else torch_forward(self.net, x[None])[0]

    def rows(self, x: np.ndarray) -> Float[np.ndarray, "N out"]:
        """The net's outputs for N observations."""
        return self.forward(x) if self.has_layers() else torch_forward(self.net, x)

    def forward(self, x: np.ndarray) -> np.ndarray:
        for layer in self.layers or ():
            x = layer(x)
        return x

    def has_layers(self) -> bool:
        """Whether the net runs in numpy; finds its weights again if they have moved."""
        places = [home[name].data_ptr() for home, name in self.homes]
        if places != self.places:
            self.places, self.layers = places, numpy_layers(self.net)
        return self.layers is not None


def numpy_layers(net: nn.Module) -> list[Layer] | None:
    """The net's layers on views of its weights, or None where a layer has no numpy form."""
    if net._forward_hooks or net._forward_pre_hooks:
        return None
    if type(net) is nn.Sequential:
        layers: list[Layer] = []
        for module in net:
            if (part := numpy_layers(module)) is None:
                return None
            layers += part
        return layers
    here = all(p.device.type == "cpu" and p.dtype == torch.float32 for p in net.parameters())
    if isinstance(net, nn.Linear) and type(net) in (nn.Linear, Linear) and here:
        return [
            partial(
                affine, net.weight.detach().numpy().T, 0.0 if net.bias is None else net.bias.detach().numpy()
            )
        ]
    return {nn.ReLU: [relu], nn.Tanh: [np.tanh]}.get(type(net))


def affine(weight: np.ndarray, bias: np.ndarray | float, x: np.ndarray) -> np.ndarray:
    """x W' + b, with W' as a view of W."""
    return x.dot(weight) + bias


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0)."""
    return np.maximum(x, 0.0)


@torch.no_grad()
def torch_forward(net: nn.Module, x: np.ndarray) -> np.ndarray:
    """The same through torch, on the device of the net."""
    weight = next(net.parameters())
    inputs = torch.from_numpy(x).to(weight.device)
    return widened(net(inputs.to(weight.dtype) if inputs.is_floating_point() else inputs)).cpu().numpy()
