"""Energy-based models and the chains that sample them."""

from deepcanon.energy.ebm import EBM
from deepcanon.energy.langevin import langevin

__all__ = ["EBM", "langevin"]
