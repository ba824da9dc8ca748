"""Images in, labels, boxes, maps or words out."""

from typing import TYPE_CHECKING

from deepcanon.lazy import attach

if TYPE_CHECKING:
    from deepcanon.vision.classify import Classifier as Classifier, cross_entropy as cross_entropy

attach(__name__)
