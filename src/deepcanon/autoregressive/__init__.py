"""Models whose density is a product of conditionals, one position after the other."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.autoregressive.density import AutoregressiveDensity as AutoregressiveDensity
    from deepcanon.autoregressive.made import BernoulliMADE as BernoulliMADE
    from deepcanon.autoregressive.mu_law import compand as compand, expand as expand
    from deepcanon.autoregressive.pixels import (
        Continuous as Continuous,
        LogisticMixture as LogisticMixture,
        Softmax as Softmax,
    )

attach(__name__)
