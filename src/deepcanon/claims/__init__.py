"""Claims: statements of a deep-learning course as small experiments, one function each, one file an area.

    deepcanon claims                    every statement and its verdict
    deepcanon claims C-021              one of them, measured now
    deepcanon claims optimization       those of an area

Listing them reads the source of this package and imports no torch.
"""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.claims.experiment import (
        Finding as Finding,
        Result as Result,
        claim as claim,
        measure as measure,
    )

attach(__name__)
