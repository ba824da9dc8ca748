"""Suppression, RoI align, OverFeat: beside torchvision's C++ operators, and beside the loop over crops.

    python benchmarks/detection.py [--torchvision FOLDER] [--rounds 7]

torchvision is measured where its operators can be loaded: installed, or from a FOLDER that holds its wheel
unpacked (its operators alone, `torchvision/_C.so`; a wheel that was linked with CUDA needs stand-ins for its
libraries on LD_LIBRARY_PATH). The contenders take turns; that they agree is asserted first.
"""

import argparse
import contextlib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from record import entries, in_turns, rates, record
from torch import Tensor, nn

from deepcanon.vision.overfeat import as_convolutions
from deepcanon.vision.regions import roi_align
from deepcanon.vision.suppression import batched_nms, nms

BOXES, CLASSES, REGIONS, SIDE = 5_000, 80, 512, 1_000
TARGETS = [
    ("suppression of 5,000 boxes", "nms", "torchvision nms", 1.3),
    ("suppression of 5,000 boxes in 80 classes", "batched_nms", "torchvision nms of each class", None),
    ("RoI align, 512 regions of 256 maps", "roi_align", "torchvision roi_align", 1.0),
    ("RoI align with its gradient", "roi_align_gradient", "torchvision roi_align and its gradient", 1.0),
    ("a classifier at 441 windows", "overfeat", "loop over crops", 10.0),
]


def peers(folder: Path | None) -> bool:
    """Whether torchvision's operators are there now."""
    if folder is not None:
        torch.ops.load_library(str(folder / "torchvision" / "_C.so"))
    else:
        with contextlib.suppress(ImportError, RuntimeError, OSError):
            importlib.import_module("torchvision")
    return hasattr(torch.ops.torchvision, "nms")


def suppression(theirs: bool) -> dict[str, Callable[[], object]]:
    """Boxes of 10 to 110 pixels on a canvas of 1,000."""
    centre, side = torch.rand(BOXES, 2) * SIDE, 10 + 100 * torch.rand(BOXES, 2)
    boxes, scores = torch.cat([centre - side / 2, centre + side / 2], 1), torch.rand(BOXES)
    labels = torch.randint(CLASSES, (BOXES,))
    table: dict[str, Callable[[], object]] = {
        "nms": lambda: nms(boxes, scores),
        "batched_nms": lambda: batched_nms(boxes, scores, labels),
    }
    if theirs:
        op = torch.ops.torchvision.nms

        def by_class() -> Tensor:
            rows = [(labels == k).nonzero()[:, 0] for k in range(CLASSES)]
            kept = torch.cat([r[op(boxes[r], scores[r], 0.5)] for r in rows])
            return kept[scores[kept].argsort(descending=True)]

        assert torch.equal(nms(boxes, scores), op(boxes, scores, 0.5))
        assert torch.equal(batched_nms(boxes, scores, labels), by_class())
        table |= {
            "torchvision nms": lambda: op(boxes, scores, 0.5),
            "torchvision nms of each class": by_class,
        }
    return table


def alignment(theirs: bool) -> dict[str, Callable[[], object]]:
    """Regions of 10 to 210 pixels on maps of 64 x 64 of stride 8."""
    maps, upstream = torch.randn(1, 256, 64, 64), torch.randn(REGIONS, 256, 7, 7)
    centre, side = torch.rand(REGIONS, 2) * 512, 10 + 200 * torch.rand(REGIONS, 2)
    boxes = torch.cat([centre - side / 2, centre + side / 2], 1).clamp(0, 512)
    images = torch.zeros(REGIONS, dtype=torch.int64)

    def gradient() -> Tensor:
        x = maps.clone().requires_grad_()
        roi_align(x, boxes, images, 7, scale=1 / 8).backward(upstream)
        assert x.grad is not None
        return x.grad

    table: dict[str, Callable[[], object]] = {
        "roi_align": lambda: roi_align(maps, boxes, images, 7, scale=1 / 8),
        "roi_align_gradient": gradient,
    }
    if theirs:
        rows, op = torch.cat([images[:, None].float(), boxes], 1), torch.ops.torchvision

        def forward() -> Tensor:
            return op.roi_align(maps, rows, 1 / 8, 7, 7, 2, True)

        def both() -> Tensor:
            forward()
            return op._roi_align_backward(upstream, rows, 1 / 8, 7, 7, 1, 256, 64, 64, 2, True)

        torch.testing.assert_close(table["roi_align"](), forward(), atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(gradient(), both(), atol=1e-3, rtol=1e-3)
        table |= {"torchvision roi_align": forward, "torchvision roi_align and its gradient": both}
    return table


def classification() -> dict[str, Callable[[], object]]:
    """A classifier of 3 x 32 x 32 images of stride 4 on one of 112 x 112: 21 x 21 windows."""
    maps = [nn.Conv2d(3, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2)]
    net = nn.Sequential(*maps, nn.Flatten(), nn.Linear(32 * 25, 128), nn.ReLU(), nn.Linear(128, 10)).eval()
    dense, x = as_convolutions(net, (3, 32, 32)), torch.rand(1, 3, 112, 112)

    @torch.no_grad()
    def crops() -> Tensor:
        corners = [(4 * i, 4 * j) for i in range(21) for j in range(21)]
        return torch.stack([net(x[:, :, i : i + 32, j : j + 32])[0] for i, j in corners], -1).view(
            1, 10, 21, 21
        )

    @torch.no_grad()
    def once() -> Tensor:
        return dense(x)

    torch.testing.assert_close(once(), crops(), atol=1e-5, rtol=1e-4)
    return {"overfeat": once, "loop over crops": crops}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--torchvision", type=Path, metavar="FOLDER", help="of its wheel, unpacked")
    args = parser.parse_args()
    torch.manual_seed(0)
    theirs = peers(args.torchvision)
    if not theirs:
        print("torchvision is not there: measured without it", file=sys.stderr)
    contenders = suppression(theirs) | alignment(theirs) | classification()
    rate = rates(in_turns(contenders, args.rounds), 1)
    record(
        "detection",
        "detection",
        "calls/s",
        entries(rate, TARGETS),
        rounds=args.rounds,
        boxes=BOXES,
        regions=REGIONS,
    )


if __name__ == "__main__":
    main()
