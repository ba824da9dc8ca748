"""Learning to learn: what is trained is how well a few examples teach."""

from deepcanon.meta.maml import MAML

__all__ = ["MAML"]
