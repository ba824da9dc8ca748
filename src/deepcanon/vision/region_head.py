"""The second stage of the R-CNN family (Girshick 2015, arXiv 1504.08083): what a region holds, and where.

    L = (1 / n) sum_r CE(p_r, k_r) + (1 / n) sum_r [k_r >= 1] smooth_L1(t_r[k_r] - t*_r)

r runs over n regions drawn of an image, a quarter of them positive at most: a region whose IoU with an object
is 0.5 or more has the class of that object, 1..K, any other is background, 0. t is the change of the region
to the box, one for every class, in units of (0.1, 0.1, 0.2, 0.2). The objects themselves are among the
regions that are drawn from.
B images, M objects and P regions of one at most, R regions in all, K classes.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.layers.contract import checked
from deepcanon.layers.precision import Float32Buffers, typed_as, widened
from deepcanon.metrics.detection import Detections, overlap
from deepcanon.vision.anchors import match, sample
from deepcanon.vision.boxes import decode_boxes, encode_boxes
from deepcanon.vision.detections import best

Cut = Callable[[Tensor, Tensor], Tensor]  # (regions (R, 4), image of each (R,)) -> (R, F, P, P)
UNITS = (10.0, 10.0, 5.0, 5.0)


@checked
class RegionHead(Float32Buffers, nn.Module):
    """Classes and boxes of regions.

    Args:
        net: what was cut out, (R, F, P, P) -> (R, width).
        width: of what the net gives.
        num_classes: K.
        sampled: n.
        share: of positive regions among them, at most.
    """

    units: Tensor

    def __init__(
        self, net: nn.Module, width: int, num_classes: int, *, sampled: int = 48, share: float = 0.25
    ):
        super().__init__()
        self.net, self.num_classes, self.sampled, self.share = net, num_classes, sampled, share
        self.classes, self.change = nn.Linear(width, num_classes + 1), nn.Linear(width, 4 * num_classes)
        for layer, std in ((self.classes, 0.01), (self.change, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)
        self.register_buffer("units", torch.tensor(UNITS))

    def forward(self, x: Float[Tensor, "R F P P"]) -> tuple[Float[Tensor, "R L"], Float[Tensor, "R K 4"]]:
        """Logits of background and the K classes, L = K + 1, and the change t to a box of each class."""
        h = self.net(typed_as(self.net, x))
        return widened(self.classes(h)), widened(self.change(h)).unflatten(-1, (self.num_classes, 4))

    def errors(
        self,
        cut: Cut,
        regions: Float[Tensor, "B P 4"],
        boxes: Float[Tensor, "B M 4"],
        labels: Int[Tensor, "B M"],
    ) -> dict[str, Tensor]:
        """The two terms of the loss; regions without area are none."""
        regions = torch.cat([regions, boxes], 1)
        there = (regions[..., 2:] > regions[..., :2]).all(-1)
        answer, nearest = match(overlap(regions, boxes), labels >= 0, high=0.5, low=0.5, always=False)
        rows, real = sample(torch.where(there, answer, -1), self.sampled, self.share)  # (B, n)
        positive = (answer.gather(1, rows) == 1) & real
        k = nearest.gather(1, rows)
        label = torch.where(positive, labels.gather(1, k) if labels.shape[1] else k, -1)
        region = regions.gather(1, rows[..., None].expand(-1, -1, 4))
        region = torch.where(real[..., None], region, region.new_tensor([0.0, 0.0, 1.0, 1.0]))
        target = boxes.gather(1, k[..., None].expand(-1, -1, 4)) if boxes.shape[1] else region
        target = encode_boxes(torch.where(positive[..., None], target, region), region) * self.units
        image = torch.arange(len(rows), device=rows.device)[:, None].expand_as(rows)
        logits, change = self(cut(region.flatten(0, 1), image.flatten()))
        label = label.flatten()
        wrong = F.cross_entropy(logits, label + 1, reduction="none").view_as(rows)
        own = change[torch.arange(len(label), device=label.device), label.clamp(min=0)]  # (R, 4)
        place = F.smooth_l1_loss(own, target.flatten(0, 1).to(own), reduction="none").sum(-1).view_as(rows)
        n = real.sum(1).clamp(min=1)
        return {"class": ((wrong * real).sum(1) / n).mean(), "box": ((place * positive).sum(1) / n).mean()}

    def detections(
        self,
        cut: Cut,
        regions: Float[Tensor, "B P 4"],
        size: tuple[int, int],
        *,
        least: float = 0.05,
        threshold: float = 0.5,
    ) -> list[Detections]:
        """Boxes of each (H, W) image, the surest first."""
        there = (regions[..., 2:] > regions[..., :2]).all(-1)  # (B, P)
        image, place = there.nonzero(as_tuple=True)
        region = regions[image, place]
        logits, change = self(cut(region, image))
        scores = logits.softmax(-1)[:, 1:]  # (R, K)
        height, width = size
        edge = region.new_tensor([width, height, width, height])
        boxes = decode_boxes(change / self.units, region[:, None].expand(-1, self.num_classes, -1))
        boxes = torch.minimum(boxes.clamp(min=0), edge)  # (R, K, 4)
        labels = torch.arange(self.num_classes, device=region.device).expand_as(scores)
        return [
            best(
                boxes[i].flatten(0, 1),
                scores[i].flatten(),
                labels[i].flatten(),
                least=least,
                threshold=threshold,
            )
            for i in (image == n for n in range(len(regions)))
        ]
