"""Images in, labels, boxes, maps or words out."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.vision.auxiliary import DeeplySupervised as DeeplySupervised
    from deepcanon.vision.classify import Classifier as Classifier, cross_entropy as cross_entropy
    from deepcanon.vision.test_time import averaged as averaged, mirrored as mirrored, ten_views as ten_views
    from deepcanon.vision.tuning import frozen_parts as frozen_parts, rates_by_part as rates_by_part

attach(__name__)
