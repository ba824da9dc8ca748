"""Claims about labelling pixels: what a bottleneck loses and skips bring back."""

from functools import partial

import torch
from torch import Tensor

from deepcanon.claims.experiment import Finding, above, claim, every, over_seeds
from deepcanon.engine import Adam, fit
from deepcanon.metrics.segmentation import class_iou, pixel_confusion
from deepcanon.nets.segmentation_unet import SegmentationUNet
from deepcanon.nets.segnet import SegNet
from deepcanon.vision.semantic import Segmenter

WIDTHS, SIDE = (8, 16, 16), 32


@claim("C-057", answer="yes")
def skips_keep_what_a_bottleneck_loses() -> Finding:
    """A bottleneck loses spatial information, and the skips of a U-Net bring it back.

    Images of 32 x 32 with three lines of one pixel under noise: IoU of the lines, on images that were not
    trained on, of a U-Net, of the same net without skips, and of a SegNet, which keeps the places of maxima
    alone; 100 steps each.
    """
    nets = {"unet": SegmentationUNet, "bottleneck": partial(SegmentationUNet, skips=False),
            "segnet": partial(SegNet, depths=(2, 2, 2))}

    def experiment(seed: int) -> dict[str, float]:
        train, (x, y) = Lines(seed, 256), Lines(1_000 + seed, 64).at(None)
        found = {}
        for name, net in nets.items():
            method = fit(Segmenter(net(2, 1, widths=WIDTHS)), train, Adam(1e-2), steps=100).method
            found[name] = float(class_iou(pixel_confusion(method.predict(x).argmax(1), y, 2))[1].nan_to_num())  # pyright: ignore[reportCallIssue]
        return found | {"lead": found["unet"] - found["bottleneck"], "lead_over_segnet": found["unet"] - found["segnet"]}

    measured, ends = over_seeds(experiment)
    holds = every(above(ends["lead"], 0.2), above(ends["lead_over_segnet"], 0.0))
    return Finding(measured, holds, "Places of maxima bring back a part of it; what stood there, the skips alone.", ends)


class Lines:
    """Images in grey with three straight lines of one pixel, and which pixels these are."""

    def __init__(self, seed: int, count: int):
        generator = torch.Generator().manual_seed(seed)
        angle, place = torch.rand(2, count, 3, 1, 1, generator=generator)
        at = torch.arange(SIDE) - (SIDE - 1) / 2
        distance = at[:, None] * (torch.pi * angle).sin() + at * (torch.pi * angle).cos() - 0.8 * SIDE * (place - 0.5)
        self.y = (distance.abs() < 0.5).any(1).long()
        self.x = 0.4 + 0.1 * torch.randn(count, 1, SIDE, SIDE, generator=generator) + 0.3 * self.y[:, None]

    def at(self, step: int | None) -> tuple[Tensor, Tensor]:
        """16 of them in turn, or all."""
        rows = torch.arange(len(self.y)) if step is None else torch.arange(16 * step, 16 * step + 16) % len(self.y)
        return self.x[rows], self.y[rows]
