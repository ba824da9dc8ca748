"""Claims: statements of a deep-learning course as small experiments, one function each, one file an area.

    deepcanon claims                    every statement and its verdict
    deepcanon claims C-021              one of them, measured now
    deepcanon claims optimization       those of an area

Listing them reads the source of this package and imports no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepcanon.claims.experiment import Finding, Result, claim, measure

__all__ = ["Finding", "Result", "claim", "measure"]


def __getattr__(name: str):
    if name in __all__:
        return getattr(import_module("deepcanon.claims.experiment"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
