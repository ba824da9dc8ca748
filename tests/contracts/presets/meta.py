"""Presets of the family meta."""

from torch import Tensor

from deepcanon.meta.maml import MAML
from deepcanon.nets.conv4 import Conv4
from tests.contracts.presets.common import Preset, images


def tasks(n: int = 2) -> tuple[Tensor, ...]:
    """Few-shot tasks: two images and two queries of each of four classes."""
    x, y = (t.unflatten(0, (n, 16)) for t in images(16, n=16 * n))
    return x[:, :8], y[:, :8], x[:, 8:], y[:, 8:]


PRESETS = {
    "maml": Preset(lambda: MAML(Conv4(4, width=4)), tasks, verbs={"predict": tuple(t[0] for t in tasks()[:3])}),
}
