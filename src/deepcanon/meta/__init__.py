"""Learning to learn: what is trained is how well a few examples teach."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.meta.maml import MAML as MAML

attach(__name__)
