"""Semantic segmentation: a class for every pixel (Long et al. 2015, arXiv 1411.4038; Milletari et al. 2016, arXiv 1606.04797).

    L = -1/N sum_i log p_{y_i}(x)_i + w (1 - 1/K sum_k D_k),     D_k = (2 sum_i p_ik q_ik + 1) / (sum_i p_ik + q_ik + 1)

i are the N pixels that count, p = softmax(net(x)), q_ik = [y_i = k]. D is the soft Dice, over the whole batch: it gives
classes of few pixels the weight of others. Pixels of the ignored label count nowhere; a batch of them alone has loss 0.
B batch, C channels, H x W pixels, K classes.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from deepcanon.layers.checks import examples
from deepcanon.layers.contract import checked
from deepcanon.layers.joint import batch_sum
from deepcanon.layers.modes import evaluating
from deepcanon.layers.precision import widened
from deepcanon.metrics.segmentation import IGNORED


@checked(rows=False)
class Segmenter(nn.Module):
    """Any net from images to logits of the same sides, trained on (image, label map) pairs.

    Args:
        net: (B, C, H, W) -> (B, K, H, W). Where it has a `stride`, images whose sides that does not divide are
            padded with their border, and the logits cropped.
        dice_weight: w.
        ignored: the label of pixels that do not count.
        num_classes: K, where it must be a certain one.
    """

    def __init__(self, net: nn.Module, *, dice_weight: float = 0.0, ignored: int = IGNORED,
                 num_classes: int | None = None):
        super().__init__()
        if not dice_weight >= 0:
            raise ValueError(f"expected a dice_weight of 0 or more, got {dice_weight}")
        self.net, self.dice_weight, self.ignored, self.num_classes = net, dice_weight, ignored, num_classes

    def loss(self, batch) -> dict[str, Float[Tensor, ""]]:
        """The loss, with its terms `nll` in nats a pixel and, where it counts, `dice`.

        Raises:
            ValueError: labels of another shape or type, or outside 0..K-1 and not the ignored one.
        """
        x, y = examples(batch)
        logits = self.logits(x)
        counted = self.counted(y, logits)
        nll = pixel_nll(logits, y, counted).sum() / counted.sum().clamp(min=1)
        if not self.dice_weight:
            return {"loss": nll, "nll": nll.detach()}
        dice = soft_dice(logits, y, counted).mean()
        return {"loss": nll + self.dice_weight * (1 - dice), "nll": nll.detach(), "dice": dice.detach()}

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """Pixel accuracy (nan where a logit is) and nats a pixel of each image, and its weight: the pixels that count."""
        x, y = examples(batch)
        logits = self.logits(x)
        counted = self.counted(y, logits)
        hit = torch.where(logits.isnan().any(1), torch.nan, (logits.argmax(1) == y).float()).where(counted, 0.0)
        n = counted.flatten(1).sum(1)
        means = (t.flatten(1).sum(1) / n.clamp(min=1) for t in (hit, pixel_nll(logits, y, counted)))
        return dict(zip(("pixel_accuracy", "nll"), means)) | {"weight": n.float()}

    def weight(self, batch) -> Int[Tensor, ""]:
        """How many pixels count: what the mean is over."""
        return (batch[1] != self.ignored).sum()

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K H W"]:
        """Class probabilities of every pixel; their argmax over K is the mask."""
        with evaluating(self):
            return self.logits(x).softmax(1)

    def logits(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K H W"]:
        """Those of the net, for images of any sides. Raises ValueError for what is no image of numbers."""
        if x.ndim != 4 or not x.is_floating_point():
            raise ValueError(f"expected images (B, C, H, W) of real numbers in [0, 1], got {x.dtype} {tuple(x.shape)}")
        H, W = x.shape[2:]
        stride = getattr(self.net, "stride", 1)
        if H % stride or W % stride:
            x = F.pad(x, (0, -W % stride, 0, -H % stride), mode="replicate")
        logits = self.net(x)
        if logits.ndim != 4 or (self.num_classes or logits.shape[1], *x.shape[2:]) != logits.shape[1:]:
            expected = f"({len(x)}, {self.num_classes or 'K'}, {x.shape[2]}, {x.shape[3]})"
            raise ValueError(f"expected the net's logits of shape {expected}, got {tuple(logits.shape)}")
        return logits[..., :H, :W]

    def counted(self, y: Int[Tensor, "B H W"], logits: Float[Tensor, "B K H W"]) -> Bool[Tensor, "B H W"]:
        """Which pixels count. Raises ValueError as `loss`."""
        shape = (len(logits), *logits.shape[2:])
        if y.shape != shape or y.dtype != torch.int64:
            raise ValueError(f"expected one integer label a pixel, int64 {shape}, got {y.dtype} {tuple(y.shape)}")
        counted = y != self.ignored
        if ((y < 0) | (y >= logits.shape[1])).logical_and(counted).any():
            raise ValueError(f"labels must lie in 0..{logits.shape[1] - 1} or be {self.ignored} (ignored), "
                             f"got {y[counted].min()}..{y[counted].max()}")
        return counted


def pixel_nll(logits: Float[Tensor, "B K H W"], y: Int[Tensor, "B H W"],
              counted: Bool[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """-log p_y of every pixel, in nats; 0 where it does not count."""
    return F.cross_entropy(widened(logits), y.masked_fill(~counted, -100), reduction="none")


def soft_dice(logits: Float[Tensor, "B K H W"], y: Int[Tensor, "B H W"],
              counted: Bool[Tensor, "B H W"]) -> Float[Tensor, "K"]:
    """D of each class over the pixels of the whole batch that count; 1 where there are none."""
    p = widened(logits).softmax(1) * counted.unsqueeze(1)
    q = F.one_hot(y.masked_fill(~counted, 0), logits.shape[1]).movedim(-1, 1) * counted.unsqueeze(1)
    both, sizes = batch_sum(torch.stack([(p * q).sum((0, 2, 3)), (p + q).sum((0, 2, 3))]))
    return (2 * both + 1) / (sizes + 1)
