"""You only look once (Redmon, Divvala, Girshick & Farhadi 2016, arXiv 1506.02640): one regression.

    L = lam_xy sum_i [(x_i - x*_i)^2 + (y_i - y*_i)^2 + (sqrt w_i - sqrt w*_i)^2 + (sqrt h_i - sqrt h*_i)^2]
      + sum_i (C_i - IoU_i)^2  +  lam_no sum_j C_j^2  +  sum_cells sum_k (p_k - [k = k*])^2

The image is a grid of S x T cells. The cell that holds the centre of an object answers for it; of its A boxes
that of the highest IoU does. i runs over these, j over all other boxes, the last sum over cells with an
object. (x, y) is the place of the centre in its cell, (w, h) the size as a share of the image, of which the
net gives the square roots; C is the confidence, p the classes of a cell. Of several objects in a cell the
first is learned.
B batch, K classes, M objects of an image at most.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from deepcanon.layers.contract import checked
from deepcanon.layers.modes import evaluating
from deepcanon.layers.precision import typed_as, widened
from deepcanon.metrics.detection import Detections, overlap
from deepcanon.vision.detections import best, boxed, checked_images, checked_targets


class Cells(NamedTuple):
    """What each cell is to say: whether it answers for an object; place, root of size, classes; the object's
    box in pixels.
    """

    answers: Bool[Tensor, "B S T"]
    place: Float[Tensor, "B S T 2"]
    root: Float[Tensor, "B S T 2"]
    classes: Float[Tensor, "B S T K"]
    box: Float[Tensor, "B S T 4"]


@checked
class YOLO(nn.Module):
    """A detector on a grid of cells.

    Args:
        net: (B, C, H, W) -> (B, 5 A + K, S, T): of each cell A times (x, y, sqrt w, sqrt h, C), then p.
        num_classes: K.
        boxes: A.
        lam_xy, lam_no: weights of places and of boxes without an object.
    """

    def __init__(
        self, net: nn.Module, num_classes: int, *, boxes: int = 2, lam_xy: float = 5.0, lam_no: float = 0.5
    ):
        super().__init__()
        self.net, self.num_classes, self.boxes = net, num_classes, boxes
        self.lam_xy, self.lam_no = lam_xy, lam_no

    def loss(self, batch) -> dict[str, Tensor]:
        """The loss an image, and its terms.

        Raises ValueError for targets that `detections.checked_targets` refuses.
        """
        x, boxes, labels = boxed(batch)
        boxes = checked_targets(x, boxes, labels, self.num_classes)
        return self.errors(self.output(x), boxes, labels, (x.shape[2], x.shape[3]))

    def errors(
        self,
        output: Float[Tensor, "B S T D"],
        boxes: Float[Tensor, "B M 4"],
        labels: Int[Tensor, "B M"],
        size: tuple[int, int],
    ) -> dict[str, Tensor]:
        """The terms of the loss of an output."""
        cells = encode_cells(boxes, labels, (output.shape[1], output.shape[2]), size, self.num_classes)
        own, p = self.split(output)  # (B, S, T, A, 5), (B, S, T, K)
        iou = overlap(self.decode(output, size).detach(), cells.box[..., None, :])[..., 0]  # (B, S, T, A)
        chosen = F.one_hot(iou.argmax(-1), self.boxes).bool() & cells.answers[..., None]
        place = (own[..., :2] - cells.place[..., None, :]).square().sum(-1)
        root = (own[..., 2:4] - cells.root[..., None, :]).square().sum(-1)
        confidence = own[..., 4]
        terms = {
            "place": self.lam_xy * ((place + root) * chosen).sum(),
            "object": ((confidence - iou).square() * chosen).sum(),
            "empty": self.lam_no * (confidence.square() * ~chosen).sum(),
            "class": ((p - cells.classes).square().sum(-1) * cells.answers).sum(),
        }
        terms = {name: term / len(output) for name, term in terms.items()}
        return {"loss": sum(terms.values(), output.new_zeros(()))} | terms

    def output(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B S T D"]:
        """What the net says of every cell, D = 5 A + K."""
        y = widened(self.net(typed_as(self.net, x)))
        width = 5 * self.boxes + self.num_classes
        if y.ndim != 4 or y.shape[:2] != (len(x), width):
            raise ValueError(
                f"expected the net to give ({len(x)}, {width}, S, T), 5 numbers for each of {self.boxes} "
                "boxes and "
                f"{self.num_classes} classes, got {tuple(y.shape)}"
            )
        return y.permute(0, 2, 3, 1)

    def split(
        self, output: Float[Tensor, "B S T D"]
    ) -> tuple[Float[Tensor, "B S T A 5"], Float[Tensor, "B S T K"]]:
        """Boxes with confidence, and classes."""
        return output[..., : 5 * self.boxes].unflatten(-1, (self.boxes, 5)), output[..., 5 * self.boxes :]

    def decode(self, output: Float[Tensor, "B S T D"], size: tuple[int, int]) -> Float[Tensor, "B S T A 4"]:
        """The boxes of an output in pixels of (H, W) images."""
        own, _ = self.split(output)
        rows, columns = output.shape[1:3]
        height, width = size
        x = (own[..., 0] + torch.arange(columns, device=own.device)[:, None]) * (width / columns)
        y = (own[..., 1] + torch.arange(rows, device=own.device)[:, None, None]) * (height / rows)
        w, h = own[..., 2].square() * width, own[..., 3].square() * height
        return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)

    @torch.no_grad()
    def detect(
        self, x: Float[Tensor, "B C H W"], *, least: float = 0.05, threshold: float = 0.5
    ) -> list[Detections]:
        """Boxes of each image, the surest first; a score is confidence times probability of the class.

        Args:
            least: the lowest score that is given out.
            threshold: of the IoU above which, of two boxes of a class, the less sure one is left out.
        """
        checked_images(x)
        with evaluating(self):
            output = self.output(x)
        own, p = self.split(output)
        probability, labels = p.max(-1)  # (B, S, T)
        scores = (own[..., 4] * probability[..., None]).clamp(0, 1)
        height, width = x.shape[2:]
        edge = output.new_tensor([width, height, width, height])
        boxes = torch.minimum(self.decode(output, (height, width)).clamp(min=0), edge)
        labels = labels[..., None].expand_as(scores)
        return [
            best(b.flatten(0, 2), s.flatten(), k.flatten(), least=least, threshold=threshold)
            for b, s, k in zip(boxes, scores, labels, strict=True)
        ]


def encode_cells(
    boxes: Float[Tensor, "B M 4"],
    labels: Int[Tensor, "B M"],
    grid: tuple[int, int],
    size: tuple[int, int],
    num_classes: int,
) -> Cells:
    """The targets of a grid of S x T cells of (H, W) images."""
    (rows, columns), (height, width), (b, m) = grid, size, labels.shape
    sides = boxes.new_tensor([width, height])
    centre = (
        (boxes[..., :2] + boxes[..., 2:]) / 2 / sides * boxes.new_tensor([columns, rows])
    )  # (B, M, 2), in cells
    cell = torch.minimum(centre.floor().clamp(min=0), boxes.new_tensor([columns - 1, rows - 1]))
    known = F.one_hot(labels.clamp(min=0), num_classes).to(boxes)
    said = torch.cat([centre - cell, ((boxes[..., 2:] - boxes[..., :2]) / sides).sqrt(), boxes, known], -1)
    number = torch.where(labels >= 0, cell[..., 1] * columns + cell[..., 0], rows * columns).long()
    order = torch.arange(m, device=boxes.device).expand(b, m)
    first = order.new_full((b, rows * columns + 1), m).scatter_reduce(
        1, number, order, "amin"
    )  # object of each cell
    answers = first[:, :-1] < m
    taken = first[:, :-1].clamp(max=max(m - 1, 0))[..., None].expand(-1, -1, said.shape[-1])
    table = (said.gather(1, taken) * answers[..., None]).unflatten(1, (rows, columns))
    place, root, box, classes = table.split([2, 2, 4, num_classes], -1)
    return Cells(answers.unflatten(1, (rows, columns)), place, root, classes, box)
