"""Sanity checks of explanations (Adebayo et al. 2018, arXiv 1810.03292), and where attribution lies
(Ribeiro et al. 2016, arXiv 1602.04938).

    randomise the layers from the last to the first, and explain after each: rank correlation with the first
    share of a region R:    sum_{i in R} |M_i| / sum_i |M_i|

An explanation that hardly changes when the weights are replaced by random ones does not explain the net.
Integrated gradients keep their absolute values, which are those of the input more than of the gradient, and
lose their signs. A net that tells huskies from wolves by the snow has its attribution on the snow.
B batch, D the shape of one attribution.
"""

import copy
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Explain = Callable[[nn.Module, Tensor], Tensor]


def weight_randomization(
    net: nn.Module, explain: Explain, x: Float[Tensor, "B *D"], *, absolute: bool = True
) -> dict[str, Float[Tensor, "B"]]:
    """How alike explanations stay when layers are set to new random weights, one after the other from the
    last.

    Args:
        explain: (net, x) -> attributions (B, ...).
        absolute: compare absolute values, as one looks at them, or values with their sign.

    Returns:
        for each layer with weights, the last first, the rank correlation of the attributions after it and
        all behind it were made random with those of the trained net, (B,). The net itself stays as it is.

    Raises:
        ValueError: a net without layers whose weights can be drawn anew.
    """

    def explained(net: nn.Module) -> Tensor:
        found = explain(net, x).flatten(1)
        return found.abs() if absolute else found

    trained, changed, found = explained(net), copy.deepcopy(net), {}
    for name, layer in reversed(list(changed.named_modules())):
        reset = getattr(layer, "reset_parameters", None)
        if callable(reset) and any(True for _ in layer.parameters(recurse=False)):
            reset()
            found[name] = rank_correlation(trained, explained(changed))
    if not found:
        raise ValueError(f"{type(net).__name__} has no layer with reset_parameters()")
    return found


def rank_correlation(a: Float[Tensor, "B D"], b: Float[Tensor, "B D"]) -> Float[Tensor, "B"]:
    """Spearman's correlation of each row, ties by their mean rank; 0 where a row is constant.

    Raises:
        ValueError: rows of other shapes.
    """
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(f"expected two tensors (B, D), got {tuple(a.shape)} and {tuple(b.shape)}")
    r, s = (ranks(t) - (t.shape[1] + 1) / 2 for t in (a, b))
    norm = (r.square().sum(1) * s.square().sum(1)).sqrt()
    return (r * s).sum(1) / norm.clamp(min=torch.finfo(norm.dtype).tiny)


def ranks(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """1 for the smallest of a row; equal values share the mean of their ranks, in float64."""
    ordered = x.sort(1).values.contiguous()
    below = torch.searchsorted(ordered, x.contiguous())
    upto = torch.searchsorted(ordered, x.contiguous(), right=True)
    return (below + upto + 1).double() / 2


def share_inside(attribution: Float[Tensor, "B *D"], region: Bool[Tensor, "*E"]) -> Float[Tensor, "B"]:
    """The share of an attribution's absolute mass that lies in a region; 0 where there is no attribution.

    Args:
        region: broadcasts to the attribution.

    Raises:
        ValueError: a region that is no mask, or does not broadcast.
    """
    if region.dtype != torch.bool:
        raise ValueError(f"expected the region as a mask of booleans, got {region.dtype}")
    try:
        region = region.expand_as(attribution)
    except RuntimeError:
        raise ValueError(
            f"expected a region that broadcasts to {tuple(attribution.shape)}, got {tuple(region.shape)}"
        ) from None
    mass = attribution.abs().float()
    inside = torch.where(region, mass, torch.zeros_like(mass)).flatten(1).sum(1)
    return inside / mass.flatten(1).sum(1).clamp(min=torch.finfo(mass.dtype).tiny)
