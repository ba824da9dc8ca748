"""Classification with localization (Sermanet et al. 2014, arXiv 1312.6229): one net, two heads.

    L = -log p_k*(x) + |b(x) - b*|^2,        b = (centre x, centre y, width, height), shares of the image's
    sides

The object of an image is the largest in it. An answer is right if its class is and the IoU of its box is
above 0.5.
B images, D features, K classes.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from deepcanon.layers.contract import checked
from deepcanon.layers.labels import correct
from deepcanon.layers.modes import evaluating
from deepcanon.layers.precision import typed_as, widened
from deepcanon.metrics.detection import Detections, area, overlap
from deepcanon.vision.boxes import centred, cornered
from deepcanon.vision.detections import boxed, checked_images, checked_targets


@checked
class Localizer(nn.Module):
    """The class and the box of one object an image.

    Args:
        net: (B, C, H, W) -> features (B, D).
        width: D.
        num_classes: K.
    """

    def __init__(self, net: nn.Module, width: int, num_classes: int):
        super().__init__()
        self.net, self.num_classes = net, num_classes
        self.classes, self.box = nn.Linear(width, num_classes), nn.Linear(width, 4)

    def loss(self, batch) -> dict[str, Tensor]:
        """The loss an image that has an object, and its terms; ValueError for targets that are refused."""
        x, boxes, labels = boxed(batch)
        target, k, there = self.largest(x, boxes, labels)
        logits, box = self(x)
        n = there.sum().clamp(min=1)
        nll = F.cross_entropy(logits, k.clamp(min=0), reduction="none")
        square = (box - self.shares(target, x)).square().sum(1)
        terms = {"nll": (nll * there).sum() / n, "square": (square * there).sum() / n}
        return {"loss": terms["nll"] + terms["square"]} | terms

    def weight(self, batch) -> Tensor:
        """How many images have an object."""
        return (batch[2] >= 0).any(1).sum()

    def forward(self, x: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B 4"]]:
        """Logits of the class, and the box in shares."""
        h = self.net(typed_as(self.net, x))
        if h.shape != (len(x), self.classes.in_features):
            raise ValueError(
                f"expected the net to give features ({len(x)}, {self.classes.in_features}), got "
                f"{tuple(h.shape)}"
            )
        return widened(self.classes(h)), widened(self.box(h))

    def largest(
        self, x: Tensor, boxes: Tensor, labels: Tensor
    ) -> tuple[Float[Tensor, "B 4"], Int[Tensor, "B"], Bool[Tensor, "B"]]:
        """The largest object of each image, in pixels, its class, and whether there is one."""
        boxes = checked_targets(x, boxes, labels, self.num_classes)
        i = torch.where(labels >= 0, area(boxes), -1.0).argmax(1)
        rows = torch.arange(len(x), device=x.device)
        return boxes[rows, i], labels[rows, i], (labels >= 0).any(1)

    def shares(self, boxes: Float[Tensor, "B 4"], x: Tensor) -> Float[Tensor, "B 4"]:
        """Boxes in pixels as shares of the sides."""
        height, width = x.shape[2:]
        return centred(boxes) / boxes.new_tensor([width, height, width, height])

    def pixels(self, box: Float[Tensor, "B 4"], x: Tensor) -> Float[Tensor, "B 4"]:
        """The way back; sizes below 0 are 0."""
        height, width = x.shape[2:]
        return cornered(
            torch.cat([box[:, :2], box[:, 2:].clamp(min=0)], 1)
            * box.new_tensor([width, height, width, height])
        )

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Accuracy of the class, IoU of the box, and whether both are right, an image; its weight is 0 where
        there is no object."""
        x, boxes, labels = boxed(batch)
        target, k, there = self.largest(x, boxes, labels)
        logits, box = self(x)
        hit = correct(logits, k.clamp(min=0))
        iou = overlap(self.pixels(box, x)[:, None], target[:, None])[:, 0, 0]
        return {"accuracy": hit, "iou": iou, "localized": hit * (iou > 0.5), "weight": there.float()}

    @torch.no_grad()
    def detect(self, x: Float[Tensor, "B C H W"], **how: float) -> list[Detections]:
        """One box an image, whose score is the probability of its class."""
        checked_images(x)
        with evaluating(self):
            logits, box = self(x)
        scores, labels = logits.softmax(1).max(1)
        height, width = x.shape[2:]
        edge = box.new_tensor([width, height, width, height])
        boxes = torch.minimum(self.pixels(box, x).clamp(min=0), edge)
        return [Detections(boxes[i : i + 1], scores[i : i + 1], labels[i : i + 1]) for i in range(len(x))]
