"""Runs that start from another: parts of the net rest, or learn more slowly; see `deepcanon.vision.tuning`."""

from dataclasses import replace

from torch import nn

from deepcanon.engine import Factory, starts_from
from deepcanon.engine.run_options import current_options
from deepcanon.vision.classify import Classifier
from deepcanon.vision.test_time import View, as_it_is
from deepcanon.vision.tuning import frozen_parts, rates_by_part


def classifier(net: nn.Module, tune: str, *, smoothing: float, auxiliary: float = 0.0,
               views: tuple[View, ...] = (as_it_is,)) -> Classifier:
    """The net as a classifier; ValueError for a `tune` other than "all" in a run that starts from no other."""
    frozen = frozen_parts(net, tune)
    if tune != "all" and not (starts_from() or current_options().build_only):
        raise ValueError(f"tune={tune} is of a run that starts from the weights of another: --from RUN")
    return Classifier(net, label_smoothing=smoothing, auxiliary=auxiliary, frozen=frozen, views=views)


def rates(factory: Factory, net: nn.Module, tune: str) -> Factory:
    """The factory, with the rates of the parts of a `Classifier` of the net."""
    return replace(factory, slower={f"net.{name}": part for name, part in rates_by_part(net, tune).items()})
