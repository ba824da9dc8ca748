"""R-CNN (Girshick, Donahue, Darrell & Malik 2014, arXiv 1311.2524): proposals with features of a net.

    image -> proposals -> each cut out and resized to S x S -> net -> class and better box

The net sees every proposal by itself: as many passes as proposals. Class and box are learned together by the
loss of `region_head`, in place of the paper's support vector machines and ridge regression, which are trained
afterwards.
B images, C channels, H x W pixels, P proposals of one.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.contract import checked
from deepcanon.metrics.detection import Detections
from deepcanon.vision.fast_rcnn import detect_in_regions, region_losses
from deepcanon.vision.region_head import RegionHead
from deepcanon.vision.regions import roi_align


@checked
class RCNN(nn.Module):
    """A detector that classifies proposals one by one.

    Args:
        head: of regions (R, C, S, S).
        propose: image (C, H, W) -> boxes (P, 4), such as `selective_search`.
        side: S.
    """

    def __init__(self, head: RegionHead, propose: Callable[[Tensor], Tensor], *, side: int = 32):
        super().__init__()
        self.head, self.propose, self.side = head, propose, side

    def loss(self, batch) -> dict[str, Tensor]:
        """The loss a region, and its terms. The batch is (images, boxes, labels), or has proposals (B, P, 4)
        as a fourth.

        Raises:
            ValueError: targets that `detections.checked_targets` refuses, or proposals that are no boxes.
        """
        return region_losses(self, batch)

    def cut(self, x: Float[Tensor, "B C H W"]) -> partial:
        """The function that cuts regions out of images."""
        return partial(roi_align, x, size=self.side)

    @torch.no_grad()
    def detect(
        self,
        x: Float[Tensor, "B C H W"],
        regions: Float[Tensor, "B P 4"] | None = None,
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
