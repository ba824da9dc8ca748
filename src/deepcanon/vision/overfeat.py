"""OverFeat (Sermanet et al. 2014, arXiv 1312.6229): a classifier slides over an image in one pass.

    linear layer on k x k x C  =  k x k convolution,          box = sum_w p_w b_w / sum_w p_w

As convolutions, the layers of a classifier of h x w images give, on a larger image, what the classifier says
of every window of h x w pixels, one a stride of its maps, and what neighbours share is computed once. It
equals the loop over crops where the convolutions pad nothing. The windows vote for a box: p_w is the
probability of the class in window w, b_w the box that w predicts.
B images, C channels, K classes, N windows, h x w maps.
"""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from deepcanon.layers.contract import checked
from deepcanon.layers.modes import evaluating
from deepcanon.layers.precision import typed_as, widened
from deepcanon.vision.boxes import clip_boxes
from deepcanon.vision.detections import checked_images


class Windows(NamedTuple):
    """What the windows of images say: logits and boxes in pixels."""

    logits: Float[Tensor, "B N K"]
    boxes: Float[Tensor, "B N 4"]


class Found(NamedTuple):
    """Of each image the most probable class, its probability, and the merged box."""

    labels: Int[Tensor, "B"]
    scores: Float[Tensor, "B"]
    boxes: Float[Tensor, "B 4"]


def as_convolutions(net: nn.Sequential, shape: tuple[int, int, int]) -> nn.Sequential:
    """The same layers for images of (C, h, w) or larger: what was (B, K) is (B, K, places down, places
    across).

    Args:
        net: layers on maps, then `nn.Flatten`, then linear layers and activations. The weights are shared.
        shape: C, h, w, of the images that the net was made for.

    Raises:
        ValueError: no `nn.Flatten`, or layers whose numbers do not fit.
    """
    places = [i for i, layer in enumerate(net) if isinstance(layer, nn.Flatten)]
    if len(places) != 1:
        raise ValueError(
            f"expected a net with one nn.Flatten between maps and linear layers, got {len(places)}"
        )
    layers = list(net)
    before, after = nn.Sequential(*layers[: places[0]]), layers[places[0] + 1 :]
    with torch.no_grad(), evaluating(before):
        channels, *kernel = before(typed_as(net, torch.zeros(1, *shape))).shape[1:]
    layers = layers[: places[0]]
    for layer in after:
        if isinstance(layer, nn.Linear):
            if layer.in_features != channels * kernel[0] * kernel[1]:
                raise ValueError(
                    f"expected a linear layer on {channels} x {kernel[0]} x {kernel[1]} numbers, got one "
                    f"on {layer.in_features}"
                )
            conv = nn.Conv2d(
                channels, layer.out_features, (kernel[0], kernel[1]), bias=layer.bias is not None
            )
            conv.weight = nn.Parameter(layer.weight.detach().view(-1, channels, *kernel))
            conv.bias = layer.bias
            layers.append(conv)
            channels, kernel = layer.out_features, [1, 1]
        else:
            layers.append(copy.copy(layer))
    return nn.Sequential(*layers)


def merge_boxes(boxes: Shaped[Tensor, "*B N 4"], weights: Float[Tensor, "*B N"]) -> Float[Tensor, "*B 4"]:
    """The mean of boxes, weighted by the probabilities of their windows.

    Raises:
        ValueError: weights below 0, not finite, not one a box, or all 0.
    """
    if weights.shape != boxes.shape[:-1] or not weights.isfinite().all() or (weights < 0).any():
        raise ValueError(
            f"expected one weight of 0 or more a box, {tuple(boxes.shape[:-1])}, got {tuple(weights.shape)}"
        )
    total = weights.sum(-1, keepdim=True)
    if (total <= 0).any():
        raise ValueError("expected a weight above 0 among those of an image")
    return (boxes * weights[..., None]).sum(-2) / total


@checked
class OverFeat(nn.Module):
    """A classifier with a box head, slid over images of several sizes.

    Args:
        net: as for `as_convolutions`, (B, C, h, w) -> (B, K + 4): logits, then the box of the object as
            centre x, centre y, width, height in shares of the window.
        shape: C, h, w of a window.
        stride: pixels from one window to the next, that of the net's maps.
        scales: factors to which an image is resized.
    """

    def __init__(
        self,
        net: nn.Sequential,
        shape: tuple[int, int, int],
        *,
        stride: int,
        scales: Sequence[float] = (1.0,),
    ):
        super().__init__()
        if not scales or min(scales) <= 0 or stride < 1:
            raise ValueError(
                f"expected a stride of 1 or more and scales above 0, got {stride} and {list(scales)}"
            )
        self.net, self.shape, self.stride, self.scales = net, shape, stride, tuple(scales)

    @torch.no_grad()
    def windows(self, x: Float[Tensor, "B C H W"]) -> Windows:
        """Logits and boxes of all windows at all scales, by one pass a scale.

        Raises ValueError for images smaller than a window.
        """
        checked_images(x)
        height, width = x.shape[2:]
        net, logits, boxes = as_convolutions(self.net, self.shape), [], []
        for scale in self.scales:
            sides = [round(side * scale) for side in (height, width)]
            if sides[0] < self.shape[1] or sides[1] < self.shape[2]:
                raise ValueError(
                    f"images of {height} x {width} at scale {scale} are smaller than a window of "
                    f"{self.shape[1]} x {self.shape[2]}"
                )
            resized = x if scale == 1 else F.interpolate(x, sides, mode="bilinear", antialias=True)
            with evaluating(net):
                y = widened(net(typed_as(net, resized))).permute(0, 2, 3, 1)  # (B, rows, columns, K + 4)
            logits.append(y[..., :-4].flatten(1, 2))
            boxes.append(
                self.boxes(y[..., -4:]).flatten(1, 2)
                / y.new_tensor([sides[1] / width, sides[0] / height] * 2)
            )
        return Windows(torch.cat(logits, 1), clip_boxes(torch.cat(boxes, 1), height, width))

    def boxes(self, y: Float[Tensor, "B R L 4"]) -> Float[Tensor, "B R L 4"]:
        """The boxes that windows at R x L places predict, in pixels of the resized image."""
        left = torch.arange(y.shape[2], device=y.device) * self.stride
        top = torch.arange(y.shape[1], device=y.device)[:, None] * self.stride
        h, w = self.shape[1:]
        x, v, half_w, half_h = (
            left + y[..., 0] * w,
            top + y[..., 1] * h,
            y[..., 2].clamp(min=0) * w / 2,
            y[..., 3].clamp(min=0) * h / 2,
        )
        return torch.stack([x - half_w, v - half_h, x + half_w, v + half_h], -1)

    @torch.no_grad()
    def locate(self, x: Float[Tensor, "B C H W"]) -> Found:
        """The class of the most probable window of each image, and the boxes of all windows merged by their
        probabilities of it.
        """
        found = self.windows(x)
        p = found.logits.softmax(-1)  # (B, N, K)
        scores, labels = p.amax(1).max(-1)
        weights = p.gather(2, labels[:, None, None].expand(-1, p.shape[1], 1))[..., 0]
        return Found(labels, scores, merge_boxes(found.boxes, weights))
