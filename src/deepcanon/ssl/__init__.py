"""Self-supervision: features learnt without labels, and how to judge them."""

from deepcanon.ssl.byol import BYOL
from deepcanon.ssl.linear_probe import LinearProbe

__all__ = ["BYOL", "LinearProbe"]
