"""Models whose density is a product of conditionals, one position after the other."""

from deepcanon.autoregressive.density import AutoregressiveDensity
from deepcanon.autoregressive.pixels import Continuous, LogisticMixture, Softmax

__all__ = ["AutoregressiveDensity", "Continuous", "LogisticMixture", "Softmax"]
