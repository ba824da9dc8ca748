"""Fine-tuning of a net that another run has trained: its head alone, its last stage too, or all of it, rates falling towards the input.

    all        every part at the same rate
    last       the last stage and what follows it
    head       the head alone: the rest as fixed features, normalised by the statistics that they came with
    0.7        every part, each stage at 0.7 of the rate of the next; the head at the whole
"""

from dataclasses import replace
from typing import Any

from torch import nn

from deepcanon.engine import Factory, starts_from
from deepcanon.engine.run_options import current_options
from deepcanon.vision.classify import Classifier
from deepcanon.vision.test_time import View, as_it_is

STAGES = ("stages", "blocks", "maps")                   # what nets call the parts between stem and head


def classifier(net: nn.Module, tune: str, *, smoothing: float, views: tuple[View, ...] = (as_it_is,)) -> Classifier:
    """The net as a classifier of which `tune` leaves parts as they are."""
    return Classifier(net, label_smoothing=smoothing, frozen=still(net, tune), views=views)


def rates(factory: Factory, net: nn.Module, tune: str) -> Factory:
    """The factory, with the rates of the parts of a `Classifier` of the net where `tune` is a factor."""
    factor = as_factor(tune)
    if factor is None:
        return factory
    groups = parts(net)
    return replace(factory, slower={f"net.{name}": factor**k for k, group in enumerate(reversed(groups)) for name in group})


def still(net: nn.Module, tune: str) -> list[str]:
    """Names of the parts that are not trained.

    Raises:
        ValueError: a `tune` that is none, or other than "all" in a run that starts from no other.
    """
    if tune not in ("all", "last", "head") and as_factor(tune) is None:
        raise ValueError(f"expected tune as all, last, head or a factor such as 0.7, got {tune!r}")
    if tune != "all" and not (starts_from() or current_options().build_only):
        raise ValueError(f"tune={tune} is of a run that starts from the weights of another: --from RUN")
    *before, last, behind = parts(net)
    if tune == "head":
        return [name for group in (*before, last, behind) for name in group if name != "head"]
    return [name for group in before for name in group] if tune == "last" else []


def as_factor(tune: str) -> float | None:
    """A number in (0, 1); None for what is none."""
    try:
        return value if 0 < (value := float(tune)) < 1 else None
    except ValueError:
        return None


def parts(net: nn.Module) -> list[list[str]]:
    """Names of parameters and submodules with parameters from input to output: before the stages, each stage, behind them."""
    own: Any = [name for name, _ in net.named_parameters(recurse=False)]
    groups, behind = [own], []
    for name, child in net.named_children():
        if name in STAGES:
            groups += [[f"{name}.{i}"] for i, stage in child.named_children() if any(True for _ in stage.parameters())]
        elif any(True for _ in child.parameters()):
            (behind if len(groups) > 1 else groups[0]).append(name)
    return [*groups, behind]
