"""Images in, labels, boxes, maps or words out."""

from deepcanon.vision.classify import Classifier

__all__ = ["Classifier"]
