"""Runs of detectors: on digit scenes, on blood cells, and on pictures with boxes of one's own (COCO, Pascal
VOC or YOLO files).

All see the same maps, of a residual net of stride 8 (see `nets.maps`), trained from scratch. Anchors follow
from the boxes that are trained on.
"""

import math
from typing import Literal

from torch import nn

from deepcanon.data import Boxes, Source, augment, box_augment, open_data
from deepcanon.engine import AdamW, Run, at_least, cosine, fit, preset, recipe
from deepcanon.layers.norm import Standardize
from deepcanon.nets.maps import STRIDE, residual_maps
from deepcanon.recipes.evaluation import evaluations
from deepcanon.vision.anchors import anchor_shapes
from deepcanon.vision.fast_rcnn import FastRCNN
from deepcanon.vision.faster_rcnn import FasterRCNN
from deepcanon.vision.localize import Localizer
from deepcanon.vision.rcnn import RCNN
from deepcanon.vision.region_head import RegionHead
from deepcanon.vision.region_proposals import RegionProposals
from deepcanon.vision.region_search import RememberedSearch
from deepcanon.vision.yolo import YOLO

LARGE, CELLS, REGION = 160, 5, 32       # pixels from which maps are small early; cells and pixels of a region


def maps_of(source: Source, width: int) -> nn.Sequential:
    """The net of the maps."""
    channels, *sides = source.shape
    standardize = Standardize(source.mean, source.std)
    return residual_maps(channels, width, large=max(sides) > LARGE, standardize=standardize)


def changes(source: Source, names: str) -> box_augment.BoxAugment | None:
    """The changes of training pictures of that name; ValueError for one that is not known."""
    light = box_augment.on_pictures(augment.jitter(brightness=0.2, contrast=0.2))
    zoom = box_augment.zoomed(0.7, 1.2)
    known = {"none": None, "zoom": box_augment.in_turn(zoom, light)}
    known["photo"] = box_augment.in_turn(box_augment.mirrored(), zoom, light)
    known["turned"] = box_augment.in_turn(box_augment.mirrored(upside_down=True), zoom, light)
    if names not in known:
        raise ValueError(f"expected distort as one of {', '.join(known)}, got {names!r}")
    return known[names]


def trained(method: nn.Module, source: Source, *, distort: str, lr: float, batch: int, steps: int, ema: float,
            fast: bool, seed: int) -> Run:
    """AdamW under a cosine, clipped gradients, averaged weights."""
    train = source.train(batch=batch, seed=seed, augment=changes(source, distort))
    optimizer = AdamW(lr, weight_decay=0.01, schedule=cosine(warmup=0.1))
    return fit(method, train, optimizer, steps=steps, seed=seed, bf16=fast, clip_norm=10.0, ema=ema or None,
               evaluate=evaluations(method, source), evaluate_every=max(1, steps // 4))


@recipe(paper="Redmon et al. 2016", systems=["VIS-20"], presets=[
    preset("digit_scenes", distort="zoom", steps=1_200, target={"map50": at_least(0.9)}, seconds=900),
    preset("bccd", distort="turned", batch=8, steps=1_500)])
def yolo(data: Boxes = "digit_scenes", *, size: int | None = None, boxes: int = 2, width: int = 32,
         distort: str = "photo", lr: float = 2e-3, batch: int = 16, steps: int = 2_000, ema: float = 0.99,
         fast: bool = True, seed: int = 0) -> Run:
    """YOLO finds objects with one pass: each cell of a grid says what stands at it.

    Args:
        data, size: pictures with boxes by name, COCO file or folder; side in pixels that pictures are brought
            to.
        boxes: of a cell.
        width: channels of the first stage of the net.
        distort: of training pictures: none, zoom, photo (with mirror images) or turned (upside down too).
        lr: peak learning rate of AdamW.
        batch, steps, seed: pictures a step, training steps; seed of weights and order.
        ema: decay of the averaged weights; 0 is none.
        fast: bfloat16 where the processor has it.
    """
    source = open_data(data, "boxes", size=size)
    hidden = 4 * width
    head = nn.Conv2d(hidden, 5 * boxes + source.num_classes, 1)
    mix = nn.Conv2d(hidden, hidden, 3, padding=1)
    net = nn.Sequential(maps_of(source, width), mix, nn.ReLU(inplace=True), head)
    method = YOLO(net, source.num_classes, boxes=boxes)
    return trained(method, source, distort=distort, lr=lr, batch=batch, steps=steps, ema=ema, fast=fast,
                   seed=seed)


@recipe(paper="Ren et al. 2015", systems=["VIS-24"], presets=[
    preset("digit_scenes", distort="zoom", steps=500, target={"map50": at_least(0.9)}, seconds=900),
    preset("bccd", distort="turned", batch=8, steps=1_000, target={"map50": at_least(0.6)}, seconds=1_800)])
def faster_rcnn(data: Boxes = "digit_scenes", *, size: int | None = None, width: int = 32,
                proposals: int = 60, distort: str = "photo", lr: float = 2e-3, batch: int = 16,
                steps: int = 1_500, ema: float = 0.99, fast: bool = True, seed: int = 0) -> Run:
    """Faster R-CNN finds objects in two stages: where something is, then what it is.

    Args:
        data, size: pictures with boxes by name, COCO file or folder; side in pixels that pictures are brought
            to.
        width: channels of the first stage of the net.
        proposals: regions of a picture that the second stage looks at.
        distort: of training pictures: none, zoom, photo (with mirror images) or turned (upside down too).
        lr: peak learning rate of AdamW.
        batch, steps, seed: pictures a step, training steps; seed of weights and order.
        ema: decay of the averaged weights; 0 is none.
        fast: bfloat16 where the processor has it.
    """
    source = open_data(data, "boxes", size=size)
    hidden = 4 * width
    shapes = anchor_shapes(source.box_sizes, source.box_ratios)
    stage = RegionProposals(hidden, shapes, hidden=hidden, after=proposals)
    layers = [nn.Flatten(), nn.Linear(hidden * CELLS**2, 8 * width), nn.ReLU(inplace=True)]
    head = RegionHead(nn.Sequential(*layers), 8 * width, source.num_classes)
    method = FasterRCNN(maps_of(source, width), stage, head, cells=CELLS)
    return trained(method, source, distort=distort, lr=lr, batch=batch, steps=steps, ema=ema, fast=fast,
                   seed=seed)


@recipe(paper="Girshick 2015; Girshick et al. 2014", systems=["VIS-21", "VIS-23"], presets=[
    preset("digit_scenes", pictures=500, steps=500,
           expect="No better than the search, which misses digits that touch."),
    preset("digit_scenes", features="pictures", expect="Slower than with maps: the net sees each region.")])
def fast_rcnn(data: Boxes = "digit_scenes", features: Literal["maps", "pictures"] = "maps", *,
              size: int | None = None, width: int = 32, pictures: int = 800, lr: float = 2e-3, batch: int = 8,
              steps: int = 1_000, ema: float = 0.99, fast: bool = True, seed: int = 0) -> Run:
    """Fast R-CNN, or R-CNN, tells what is in the regions that selective search proposes.

    Args:
        data, size: pictures with boxes by name, COCO file or folder; side in pixels that pictures are brought
            to.
        features: of a region: cut out of the maps of a picture (Fast R-CNN), or the net's of the region alone
            (R-CNN).
        width: channels of the first stage of the net.
        pictures: that are trained on, at most: the search takes a tenth of a second for each.
        lr: peak learning rate of AdamW.
        batch, steps, seed: pictures a step, training steps; seed of weights and order.
        ema: decay of the averaged weights; 0 is none.
        fast: bfloat16 where the processor has it.
    """
    source = open_data(data, "boxes", size=size)
    hidden, cells = 4 * width, CELLS if features == "maps" else REGION // STRIDE
    layers = [nn.Flatten(), nn.Linear(hidden * cells**2, 8 * width), nn.ReLU(inplace=True)]
    if features == "maps":
        head = RegionHead(nn.Sequential(*layers), 8 * width, source.num_classes)
        method = FastRCNN(maps_of(source, width), head, RememberedSearch(), cells=cells)
    else:
        own = residual_maps(source.shape[0], width, standardize=Standardize(source.mean, source.std))
        head = RegionHead(nn.Sequential(own, *layers), 8 * width, source.num_classes)
        method = RCNN(head, RememberedSearch(), side=REGION)
    train = source.train(batch=batch, seed=seed).take(range(min(pictures, source.count)))
    optimizer = AdamW(lr, weight_decay=0.01, schedule=cosine(warmup=0.1))
    return fit(method, train, optimizer, steps=steps, seed=seed, bf16=fast, clip_norm=10.0, ema=ema or None,
               evaluate=evaluations(method, source))


@recipe(paper="Sermanet et al. 2014", systems=["VIS-15"], presets=[
    preset("digit_scenes", distort="zoom", steps=1_000,
           expect="Which digit is the largest is told less surely than where digits are.")])
def localize(data: Boxes = "digit_scenes", *, size: int | None = None, width: int = 32,
             distort: str = "photo", lr: float = 2e-3, batch: int = 32, steps: int = 2_000, ema: float = 0.99,
             fast: bool = True, seed: int = 0) -> Run:
    """A net says the class and the box of the largest object of a picture.

    Args:
        data, size: pictures with boxes by name, COCO file or folder; side in pixels that pictures are brought
            to.
        width: channels of the first stage of the net.
        distort: of training pictures: none, zoom, photo (with mirror images) or turned (upside down too).
        lr: peak learning rate of AdamW.
        batch, steps, seed: pictures a step, training steps; seed of weights and order.
        ema: decay of the averaged weights; 0 is none.
        fast: bfloat16 where the processor has it.
    """
    source = open_data(data, "boxes", size=size)
    hidden = 4 * width
    places = math.prod(-(-side // STRIDE) for side in source.shape[1:])
    features = [nn.Conv2d(hidden, 16, 1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16 * places, 256)]
    net = nn.Sequential(maps_of(source, width), *features, nn.ReLU(inplace=True))
    method = Localizer(net, 256, source.num_classes)
    return trained(method, source, distort=distort, lr=lr, batch=batch, steps=steps, ema=ema, fast=fast,
                   seed=seed)
