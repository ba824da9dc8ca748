"""Fast R-CNN (Girshick 2015, arXiv 1504.08083): one pass of the net an image, from whose maps regions are
cut.

    image -> maps -> proposals, projected to the maps -> P x P cells each -> class and better box

The terms of the loss are those of `region_head`. Regions come from outside, from `selective_search` as a
rule.
B images, C channels, H x W pixels, F channels of the maps, R proposals of an image.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepcanon.layers.contract import checked
from deepcanon.layers.modes import evaluating
from deepcanon.layers.precision import typed_as
from deepcanon.metrics.detection import Detections, checked_boxes
from deepcanon.vision.detections import boxed, checked_images, checked_targets
from deepcanon.vision.region_head import RegionHead
from deepcanon.vision.regions import roi_pool

Pool = Callable[..., Tensor]  # roi_pool or roi_align


@checked
class FastRCNN(nn.Module):
    """A detector on proposals from outside.

    Args:
        backbone: (B, C, H, W) -> maps (B, F, h, w).
        head: of regions (R, F, P, P).
        propose: image (C, H, W) -> boxes (R, 4), such as `selective_search`.
        pool: `roi_pool` or `roi_align`.
        cells: P.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: RegionHead,
        propose: Callable[[Tensor], Tensor],
        *,
        pool: Pool = roi_pool,
        cells: int = 7,
    ):
        super().__init__()
        self.backbone, self.head, self.propose, self.pool, self.cells = backbone, head, propose, pool, cells

    def loss(self, batch) -> dict[str, Tensor]:
        """The loss a region, and its terms. The batch is (images, boxes, labels), or has proposals (B, R, 4)
        as a fourth.

        Raises:
            ValueError: targets that `detections.checked_targets` refuses, or proposals that are no boxes.
        """
        return region_losses(self, batch)

    def cut(self, x: Float[Tensor, "B C H W"]) -> partial:
        """The function that cuts regions out of the maps of images."""
        maps = self.backbone(typed_as(self.backbone, x))
        scale = maps.shape[2] / x.shape[2], maps.shape[3] / x.shape[3]
        return partial(self.pool, maps, size=self.cells, scale=scale)

    @torch.no_grad()
    def detect(
        self,
        x: Float[Tensor, "B C H W"],
        regions: Float[Tensor, "B R 4"] | None = None,
        *,
        least: float = 0.05,
        threshold: float = 0.5,
    ) -> list[Detections]:
        """Boxes of each image, the surest first.

        Args:
            regions: proposals; None: found by `propose`.
            least: the lowest score that is given out.
            threshold: of the IoU above which, of two boxes of a class, the less sure one is left out.
        """
        return detect_in_regions(self, x, regions, least=least, threshold=threshold)


def region_losses(method: Any, batch: Any) -> dict[str, Tensor]:
    """The loss a region, and its terms, of a method with `head`, `propose` and `cut`; see `FastRCNN.loss`."""
    x, boxes, labels, *regions = boxed(batch)
    boxes = checked_targets(x, boxes, labels, method.head.num_classes)
    regions = checked_proposals(regions[0], x) if regions else proposed(method.propose, x)
    terms = method.head.errors(method.cut(x), regions, boxes, labels)
    return {"loss": terms["class"] + terms["box"]} | terms


def detect_in_regions(
    method: Any, x: Float[Tensor, "B C H W"], regions: Tensor | None, *, least: float, threshold: float
) -> list[Detections]:
    """Boxes of each image, of a method with `head`, `propose` and `cut`; see `FastRCNN.detect`."""
    checked_images(x)
    regions = proposed(method.propose, x) if regions is None else checked_proposals(regions, x)
    with evaluating(method):
        return method.head.detections(
            method.cut(x), regions, (x.shape[2], x.shape[3]), least=least, threshold=threshold
        )


def checked_proposals(regions: Shaped[Tensor, "B R 4"], x: Tensor) -> Float[Tensor, "B R 4"]:
    """The proposals, of 32 bits or more; rows without area are none.

    Raises ValueError for what are no boxes of these images.
    """
    regions = checked_boxes(regions, "proposals")
    if regions.ndim != 3 or len(regions) != len(x):
        raise ValueError(f"expected proposals ({len(x)}, R, 4), got {tuple(regions.shape)}")
    return regions


@torch.no_grad()
def proposed(propose: Callable[[Tensor], Tensor], x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B R 4"]:
    """The proposals of each image; rows of zeros where another image has more."""
    return nn.utils.rnn.pad_sequence([propose(image).float() for image in x], batch_first=True)
