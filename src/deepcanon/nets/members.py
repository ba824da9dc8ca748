"""Several nets of one form asked at once, x (M, B, ...) -> (M, B, K): each member answers its own batch.

    side by side     h_j <- act(h_j W_j + b_j)  for all members j in one batched product: perceptrons
    one by one       y_j = net_j(x_j)           any nets

A small net spends its time in calls and not in products; side by side, with one optimizer step for all, M nets cost hardly more calls than one.
`benchmarks/ensemble.py` measures both forms, ten runs one after another, and `torch.func.vmap`.
M members, B examples, I inputs, O outputs, K classes.
"""

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class OneByOne(nn.Module):
    """Members of any kind.

    Args:
        nets: M nets, (B, ...) -> (B, K) each.
    """

    def __init__(self, nets: Sequence[nn.Module]):
        super().__init__()
        self.num_members, self.nets = len(at_least_one(nets)), nn.ModuleList(nets)

    def forward(self, x: Float[Tensor, "M B *D"]) -> Float[Tensor, "M B *K"]:
        return torch.stack([net(part) for net, part in zip(self.nets, x, strict=True)])

    def apart(self) -> list[nn.Module]:
        """The members."""
        return list(self.nets)


class StackedMLPs(nn.Module):
    """Perceptrons as one chain of batched products, their weights stacked; what they compute and learn is what each would alone.

    Args:
        nets: M chains (`nn.Sequential`, nested or not) of `nn.Linear` and of layers without parameters that act on the last axis or on each number.

    Raises:
        ValueError: no net, other layers, nets of different forms.
    """

    def __init__(self, nets: Sequence[nn.Sequential]):
        super().__init__()
        self.num_members, self.form = len(at_least_one(nets)), [copy.deepcopy(nets[0])]  # in a list: its weights are not ours
        chains = [chain(net) for net in nets]
        if len({tuple((name, type(layer), *(p.shape for p in layer.parameters())) for name, layer in c.items()) for c in chains}) > 1:
            raise ValueError("the members must have one form: the same layers of the same widths")
        self.names = [name for name, layer in chains[0].items() if isinstance(layer, nn.Linear)]
        self.layers = nn.Sequential(*(stacked([c[name] for c in chains]) for name in chains[0]))

    def forward(self, x: Float[Tensor, "M B *D"]) -> Float[Tensor, "M B *K"]:
        return self.layers(x)

    def apart(self) -> list[nn.Module]:
        """The members as nets of their own: copies, which training does not change."""
        return [self.member(j) for j in range(self.num_members)]

    def member(self, j: int) -> nn.Module:
        """A copy of member j."""
        net = copy.deepcopy(self.form[0])
        for name, layer in zip(self.names, (m for m in self.layers if isinstance(m, Linears)), strict=True):
            linear = net.get_submodule(name)
            linear.weight = nn.Parameter(layer.weight[j].detach().T.clone())
            if layer.bias is not None:
                linear.bias = nn.Parameter(layer.bias[j, 0].detach().clone())
        return net.train(self.training).to(next(self.parameters()).device)


class Linears(nn.Module):
    """M linear layers: y_j = x_j W_j + b_j. Weights are stored (M, I, O), by rows of inputs, which the batched product reads faster."""

    def __init__(self, layers: Sequence[nn.Linear]):
        super().__init__()
        biases = [layer.bias.detach() for layer in layers if layer.bias is not None]
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().T for layer in layers]))  # (M, I, O)
        self.bias = nn.Parameter(torch.stack(biases)[:, None]) if biases else None               # (M, 1, O)

    def forward(self, x: Float[Tensor, "M B I"]) -> Float[Tensor, "M B O"]:
        return torch.bmm(x, self.weight) if self.bias is None else torch.baddbmm(self.bias, x, self.weight)


def chain(net: nn.Module) -> dict[str, nn.Module]:
    """The layers of nested `nn.Sequential`s by name, in order."""
    layers = {}
    for name, layer in net.named_modules():
        if not isinstance(layer, nn.Sequential):
            if not isinstance(layer, nn.Linear) and any(True for _ in layer.parameters()):
                raise ValueError(f"only linear layers can be put side by side, got {type(layer).__name__}: take OneByOne")
            layers[name] = layer
    return layers


def stacked(layers: Sequence[nn.Module]) -> nn.Module:
    """The same layer of every member as one; layers without parameters are alike, and flattening leaves the axis of the members alone."""
    if isinstance(layers[0], nn.Linear):
        return Linears([layer for layer in layers if isinstance(layer, nn.Linear)])
    return nn.Flatten(2) if isinstance(layers[0], nn.Flatten) else copy.deepcopy(layers[0])


def at_least_one(nets: Sequence[nn.Module]) -> Sequence[nn.Module]:
    """The nets, if there are any."""
    if not nets:
        raise ValueError("an ensemble needs one member or more, got none")
    return nets
