"""Region proposal network (Ren, He, Girshick & Sun 2015, arXiv 1506.01497): objectness and box of anchors.

    L = (1 / n) sum_i CE(p_i, a_i) + (1 / n) sum_i a_i smooth_L1(t_i - t*_i)

i runs over n anchors drawn of an image, half of them positive at most; p is the probability of an object, a 1
or 0 (see `anchors`), t the change of the anchor to the box (see `boxes.encode_boxes`).
B images, F channels, H x W places, A shapes, N = H W A anchors, M objects of an image at most, P proposals.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.layers.contract import checked
from deepcanon.layers.precision import Float32Buffers, widened
from deepcanon.metrics.detection import overlap
from deepcanon.vision.anchors import anchor_grid, match, sample
from deepcanon.vision.boxes import decode_boxes, encode_boxes
from deepcanon.vision.suppression import nms

BETA = 1 / 9  # where smooth L1 becomes linear


@checked
class RegionProposals(Float32Buffers, nn.Module):
    """Proposals from maps.

    Args:
        channels: F.
        shapes: (A, 2) width and height of the anchors in pixels, of `anchor_shapes`.
        hidden: channels of the 3x3 convolution.
        high, low: IoU from which an anchor is positive, below which it is negative.
        sampled: n.
        before, after: proposals an image before and after suppression.
    """

    shapes: Tensor

    def __init__(
        self,
        channels: int,
        shapes: Float[Tensor, "A 2"],
        *,
        hidden: int = 128,
        high: float = 0.7,
        low: float = 0.3,
        sampled: int = 128,
        before: int = 300,
        after: int = 60,
    ):
        super().__init__()
        self.high, self.low, self.sampled, self.before, self.after = high, low, sampled, before, after
        self.register_buffer("shapes", shapes)
        self.conv = nn.Conv2d(channels, hidden, 3, padding=1)
        self.objectness, self.change = (
            nn.Conv2d(hidden, len(shapes), 1),
            nn.Conv2d(hidden, 4 * len(shapes), 1),
        )
        for layer in (self.conv, self.objectness, self.change):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, maps: Float[Tensor, "B F H W"]) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N 4"]]:
        """Logit of an object and change t of every anchor."""
        h = F.relu(self.conv(maps))
        logits = widened(self.objectness(h)).permute(0, 2, 3, 1).flatten(1)
        change = widened(self.change(h)).permute(0, 2, 3, 1).unflatten(-1, (-1, 4)).flatten(1, 3)
        return logits, change

    def anchors(self, maps: Float[Tensor, "B F H W"], size: tuple[int, int]) -> Float[Tensor, "N 4"]:
        """The anchors of these maps of (H, W) images."""
        return anchor_grid(self.shapes, (maps.shape[2], maps.shape[3]), size)

    def errors(
        self,
        logits: Float[Tensor, "B N"],
        change: Float[Tensor, "B N 4"],
        anchors: Float[Tensor, "N 4"],
        boxes: Float[Tensor, "B M 4"],
        labels: Int[Tensor, "B M"],
    ) -> dict[str, Tensor]:
        """The two terms of the loss."""
        answer, nearest = match(
            overlap(anchors.expand(len(boxes), -1, -1), boxes), labels >= 0, high=self.high, low=self.low
        )
        rows, real = sample(answer, self.sampled, 0.5)  # (B, n) each
        a = (answer.gather(1, rows) == 1) & real
        each = rows[..., None].expand(-1, -1, 4)
        nearest = nearest.gather(1, rows)[..., None].expand(-1, -1, 4)
        safe = torch.where((labels >= 0)[..., None], boxes, anchors[:1])  # a box where there is none
        target = (
            encode_boxes(safe.gather(1, nearest), anchors[rows])
            if boxes.shape[1]
            else torch.zeros_like(anchors[rows])
        )
        n = real.sum(1).clamp(min=1)
        object = F.binary_cross_entropy_with_logits(logits.gather(1, rows), a.to(logits), reduction="none")
        place = F.smooth_l1_loss(change.gather(1, each), target.to(change), reduction="none", beta=BETA).sum(
            -1
        )
        return {
            "objectness": ((object * real).sum(1) / n).mean(),
            "anchor_box": ((place * a).sum(1) / n).mean(),
        }

    @torch.no_grad()
    def propose(
        self,
        logits: Float[Tensor, "B N"],
        change: Float[Tensor, "B N 4"],
        anchors: Float[Tensor, "N 4"],
        size: tuple[int, int],
    ) -> Float[Tensor, "B P 4"]:
        """The surest boxes inside (H, W) images that do not overlap by more than 0.7; rows of zeros where
        there are fewer than P.
        """
        height, width = size
        edge = anchors.new_tensor([width, height, width, height])
        found = anchors.new_zeros(len(logits), self.after, 4)
        for row, p, t in zip(found, logits, change, strict=True):
            p, i = p.topk(min(self.before, len(p)))
            boxes = torch.minimum(decode_boxes(t[i], anchors[i]).clamp(min=0), edge)
            large = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
            boxes = (
                boxes[large][nms(boxes[large], p[large], 0.7)[: self.after]]
                if p.isfinite().all()
                else boxes[:0]
            )
            row[: len(boxes)] = boxes
        return found
