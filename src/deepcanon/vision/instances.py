"""Instance segmentation without boxes: inside, border, and growth (Ronneberger et al. 2015; Caicedo et al. 2019, Nature Methods 16).

    classes of a pixel:  0 outside, 1 inside an object, 2 on its border (next to any other number)
    objects:             connected parts of {p_1 > 1/2}, each grown into {p_0 < 1/2}, a pixel at a time from all sides

Objects that touch have borders between them, so their insides are apart. The net learns the three classes by the loss
of `semantic`. B batch, C channels, H x W pixels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from deepcanon.layers.checks import examples
from deepcanon.layers.components import connected_components, dilated, in_order
from deepcanon.layers.contract import checked
from deepcanon.layers.modes import evaluating
from deepcanon.metrics.instances import mean_precision
from deepcanon.metrics.segmentation import IGNORED, dice
from deepcanon.vision.semantic import Segmenter

INSIDE, BORDER = 1, 2


@checked(rows=False)
class InstanceSegmenter(nn.Module):
    """A net of three logits a pixel, trained on (image, map of objects) pairs.

    A map of objects holds 0 for the background, each object's number, and numbers below 0 where nothing is known.

    Args:
        net: (B, C, H, W) -> (B, 3, H, W).
        dice_weight: of the soft Dice in the loss.
        min_size: pixels that an object has at least; smaller ones are left out.
    """

    def __init__(self, net: nn.Module, *, dice_weight: float = 1.0, min_size: int = 10):
        super().__init__()
        self.pixels, self.min_size = Segmenter(net, dice_weight=dice_weight, num_classes=3), min_size

    def loss(self, batch) -> dict[str, Float[Tensor, ""]]:
        """The loss of the three classes. Raises ValueError for maps of another shape or type."""
        x, objects = examples(batch)
        return self.pixels.loss((x, three_classes(objects)))

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Of each image: Dice of what is object, the mean precision over IoU thresholds, nats a pixel."""
        x, objects = examples(batch)
        nll = self.pixels.metrics((x, three_classes(objects)))["nll"]
        found = self.predict(x) * (objects >= 0)
        precision = [mean_precision(one, truth.clamp(min=0)) for one, truth in zip(found, objects)]
        seen = nll.isfinite()
        return {"dice": torch.where(seen, dice(found > 0, objects > 0), torch.nan),
                "mean_precision": torch.where(seen, nll.new_tensor(precision), torch.nan), "nll": nll}

    def weight(self, batch) -> Int[Tensor, ""]:
        """How many pixels are known."""
        return (batch[1] >= 0).sum()

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "B C H W"]) -> Int[Tensor, "B H W"]:
        """Maps of objects, numbered 1, 2, ... in each image."""
        with evaluating(self):
            p = self.pixels.predict(x)
        return objects_of(p[:, INSIDE] > 0.5, p[:, 0] < 0.5, self.min_size)


def three_classes(objects: Int[Tensor, "B H W"]) -> Int[Tensor, "B H W"]:
    """0 outside, 1 inside, 2 on the border, and the ignored label where numbers are below 0."""
    if objects.ndim != 3 or objects.dtype != torch.int64:
        raise ValueError(f"expected maps of objects, int64 (B, H, W), got {objects.dtype} {tuple(objects.shape)}")
    around = F.pad(objects[:, None].double(), (1, 1, 1, 1), mode="replicate")
    highest, lowest = (F.max_pool2d(sign * around, 3, 1)[:, 0] * sign for sign in (1, -1))
    classes = torch.where(objects > 0, torch.where(highest > lowest, BORDER, INSIDE), 0)
    return classes.masked_fill(objects < 0, IGNORED)


def objects_of(inside: Bool[Tensor, "B H W"], object: Bool[Tensor, "B H W"], min_size: int = 1) -> Int[Tensor, "B H W"]:
    """The connected parts of `inside`, grown into `object`; parts of `object` that hold none are objects of their own.

    Objects of fewer than `min_size` pixels are left out.
    """
    labels, offset = connected_components(inside & object), inside[0].numel()
    labels = grown(labels, object)
    rest = connected_components(object & (labels == 0))
    labels = torch.where(rest > 0, rest + offset, labels)
    for one in labels:                                                           # a view: what is too small is cleared
        _, place, count = one.unique(return_inverse=True, return_counts=True)
        one.masked_fill_((count < min_size)[place], 0)
    first_first = torch.where(labels > 0, 2 * offset + 1 - labels, 0)
    return in_order(first_first)


def grown(labels: Int[Tensor, "B H W"], object: Bool[Tensor, "B H W"]) -> Int[Tensor, "B H W"]:
    """Labels spread a pixel at a time over what is object and has none; where two meet, the higher number wins."""
    while True:
        spread = torch.where((labels == 0) & object, dilated(labels), labels)
        if torch.equal(spread, labels):
            return labels
        labels = spread
