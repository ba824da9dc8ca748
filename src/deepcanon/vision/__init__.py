"""Images in, labels, boxes, maps or words out."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.vision.anchors import anchor_grid as anchor_grid, anchor_shapes as anchor_shapes
    from deepcanon.vision.boxes import (
        centred as centred,
        clip_boxes as clip_boxes,
        cornered as cornered,
        decode_boxes as decode_boxes,
        encode_boxes as encode_boxes,
        flip_boxes as flip_boxes,
        from_xywh as from_xywh,
        generalized_iou as generalized_iou,
        to_xywh as to_xywh,
    )
    from deepcanon.vision.caption import Caption as Caption, Captioner as Captioner
    from deepcanon.vision.caption_search import beam_search as beam_search
    from deepcanon.vision.classify import Classifier as Classifier, cross_entropy as cross_entropy
    from deepcanon.vision.fast_rcnn import FastRCNN as FastRCNN
    from deepcanon.vision.faster_rcnn import FasterRCNN as FasterRCNN
    from deepcanon.vision.hard_attention import (
        HardCaptioner as HardCaptioner,
        likeliest_place as likeliest_place,
    )
    from deepcanon.vision.instances import InstanceSegmenter as InstanceSegmenter, objects_of as objects_of
    from deepcanon.vision.localize import Localizer as Localizer
    from deepcanon.vision.overfeat import (
        OverFeat as OverFeat,
        as_convolutions as as_convolutions,
        merge_boxes as merge_boxes,
    )
    from deepcanon.vision.rcnn import RCNN as RCNN
    from deepcanon.vision.region_head import RegionHead as RegionHead
    from deepcanon.vision.region_proposals import RegionProposals as RegionProposals
    from deepcanon.vision.region_search import (
        RememberedSearch as RememberedSearch,
        segments as segments,
        selective_search as selective_search,
    )
    from deepcanon.vision.regions import roi_align as roi_align, roi_pool as roi_pool
    from deepcanon.vision.semantic import Segmenter as Segmenter, soft_dice as soft_dice
    from deepcanon.vision.sliding_windows import (
        classify_windows as classify_windows,
        window_grid as window_grid,
        window_shapes as window_shapes,
    )
    from deepcanon.vision.suppression import batched_nms as batched_nms, nms as nms, soft_nms as soft_nms
    from deepcanon.vision.test_time import averaged as averaged, mirrored as mirrored, ten_views as ten_views
    from deepcanon.vision.tuning import frozen_parts as frozen_parts, rates_by_part as rates_by_part
    from deepcanon.vision.yolo import YOLO as YOLO, encode_cells as encode_cells

attach(__name__)
