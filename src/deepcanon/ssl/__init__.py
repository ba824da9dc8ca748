"""Self-supervision: features learnt without labels, and how to judge them."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.ssl.byol import BYOL as BYOL
    from deepcanon.ssl.linear_probe import LinearProbe as LinearProbe, probe as probe

attach(__name__)
