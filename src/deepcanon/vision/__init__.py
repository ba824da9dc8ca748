"""Images in, labels, boxes, maps or words out."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.vision.caption import Caption as Caption, Captioner as Captioner
    from deepcanon.vision.caption_search import beam_search as beam_search
    from deepcanon.vision.classify import Classifier as Classifier, cross_entropy as cross_entropy
    from deepcanon.vision.hard_attention import (
        HardCaptioner as HardCaptioner,
        likeliest_place as likeliest_place,
    )
    from deepcanon.vision.instances import InstanceSegmenter as InstanceSegmenter, objects_of as objects_of
    from deepcanon.vision.semantic import Segmenter as Segmenter, soft_dice as soft_dice

attach(__name__)
