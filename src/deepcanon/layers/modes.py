"""Evaluation mode for a while."""

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def evaluating(net: nn.Module) -> Iterator[nn.Module]:
    """The net in evaluation mode: its statistics rest, nothing is dropped. Each of its parts is back in its own mode afterwards."""
    training = {module: module.training for module in net.modules()}
    try:
        yield net.eval()
    finally:
        for module, mode in training.items():
            module.training = mode
