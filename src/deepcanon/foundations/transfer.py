"""Transfer learning (Yosinski et al. 2014, arXiv 1411.1792): a net that was trained on task a is the start of task b.

    few labels     theta_backbone as it is, a new head is trained            nn.Sequential(Frozen(backbone), head)
    more           early layers as they are, the later ones start there      train_only(net, "layer4", "head")
    many           every layer starts there, at a rate r_l of its own        rates(net, 1e-3, {"backbone": 0.1})
"""

from collections.abc import Mapping

from torch import Tensor, nn


class Frozen(nn.Module):
    """A net as fixed features: no trainable parameter, no dropout, statistics of normalisation as they were, whatever mode the whole is in.

    Gradients still pass to the input.
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.net.eval()(x)


def train_only(net: nn.Module, *names: str) -> nn.Module:
    """The net with only the named submodules or parameters trainable; normalisation still follows the batches, unlike in `Frozen`."""
    chosen = {name: p for name, p in net.named_parameters() if prefix(name, names) is not None}
    for name in names:
        if not any(prefix(p, [name]) is not None for p in chosen):
            raise ValueError(f"{type(net).__name__} has no part {name!r} with parameters to train")
    for name, p in net.named_parameters():
        p.requires_grad_(name in chosen)
    return net


def rates(net: nn.Module, lr: float, slower: Mapping[str, float]) -> list[dict]:
    """Parameter groups for an optimizer of torch: the trainable parameters, those below a name in `slower` at that part of the rate.

    The longest name that fits counts: `rates(net, 1e-3, {"backbone": 0.1, "backbone.stem": 0.01})`.
    """
    groups: dict[str | None, list[Tensor]] = {}
    for name, p in net.named_parameters():
        if p.requires_grad:
            groups.setdefault(prefix(name, slower), []).append(p)
    for name, factor in slower.items():
        if name not in groups:
            raise ValueError(f"{type(net).__name__} has no trainable part {name!r} to train at another rate")
        if not factor >= 0:
            raise ValueError(f"expected a part of the rate of 0 or more for {name!r}, got {factor}")
    return [{"params": params, "lr": lr * (1.0 if name is None else slower[name])} for name, params in groups.items()]


def prefix(parameter: str, names) -> str | None:
    """The longest of the dotted names that the parameter's begins with."""
    return max((name for name in names if f"{parameter}.".startswith(f"{name}.")), key=len, default=None)
