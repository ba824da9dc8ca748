"""Faster R-CNN (Ren, He, Girshick & Sun 2015, arXiv 1506.01497): proposals and classes from the same maps.

    L = L_proposals + L_regions,        regions = propose(maps),  maps = backbone(image)

No gradient passes through the corners of the proposals. The terms are those of `region_proposals` and
`region_head`.
B images, C channels, H x W pixels, F channels of the maps, P x P cells of a region.
"""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.layers.contract import checked
from deepcanon.layers.modes import evaluating
from deepcanon.layers.precision import typed_as
from deepcanon.metrics.detection import Detections
from deepcanon.vision.detections import boxed, checked_images, checked_targets
from deepcanon.vision.region_head import RegionHead
from deepcanon.vision.region_proposals import RegionProposals
from deepcanon.vision.regions import roi_align


@checked
class FasterRCNN(nn.Module):
    """A detector of two stages.

    Args:
        backbone: (B, C, H, W) -> maps (B, F, h, w).
        proposals: of which regions are looked at.
        head: what they hold.
        cells: P.
    """

    def __init__(self, backbone: nn.Module, proposals: RegionProposals, head: RegionHead, *, cells: int = 7):
        super().__init__()
        self.backbone, self.proposals, self.head, self.cells = backbone, proposals, head, cells

    def loss(self, batch) -> dict[str, Tensor]:
        """The loss an image, and its terms.

        Raises ValueError for targets that `detections.checked_targets` refuses.
        """
        x, boxes, labels = boxed(batch)
        boxes = checked_targets(x, boxes, labels, self.head.num_classes)
        maps, size = self.maps(x), (x.shape[2], x.shape[3])
        anchors = self.proposals.anchors(maps, size)
        logits, change = self.proposals(maps)
        terms = self.proposals.errors(logits, change, anchors, boxes, labels)
        regions = self.proposals.propose(logits, change, anchors, size)
        terms |= self.head.errors(self.cut(maps, size), regions, boxes, labels)
        return {"loss": sum(terms.values(), logits.new_zeros(()))} | terms

    def maps(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F h w"]:
        """The maps of images; ValueError where the backbone gives something else."""
        maps = self.backbone(typed_as(self.backbone, x))
        if maps.ndim != 4 or len(maps) != len(x):
            raise ValueError(
                f"expected the backbone to give maps ({len(x)}, F, h, w), got {tuple(maps.shape)}"
            )
        return maps

    def cut(self, maps: Float[Tensor, "B F h w"], size: tuple[int, int]) -> partial:
        """The function that cuts regions out of maps of (H, W) images."""
        scale = maps.shape[2] / size[0], maps.shape[3] / size[1]
        return partial(roi_align, maps, size=self.cells, scale=scale)

    @torch.no_grad()
    def detect(
        self, x: Float[Tensor, "B C H W"], *, least: float = 0.05, threshold: float = 0.5
    ) -> list[Detections]:
        """Boxes of each image, the surest first.

        Args:
            least: the lowest score that is given out.
            threshold: of the IoU above which, of two boxes of a class, the less sure one is left out.
        """
        checked_images(x)
        with evaluating(self):
            maps, size = self.maps(x), (x.shape[2], x.shape[3])
            anchors = self.proposals.anchors(maps, size)
            logits, change = self.proposals(maps)
            regions = self.proposals.propose(logits, change, anchors, size)
            return self.head.detections(self.cut(maps, size), regions, size, least=least, threshold=threshold)
