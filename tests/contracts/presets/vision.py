"""Presets of the family vision."""

from deepcanon.nets.lenet import LeNet
from deepcanon.nets.resnet import resnet_cifar
from deepcanon.vision.classify import Classifier
from tests.contracts.presets.common import Preset, images

PRESETS = {
    "lenet": Preset(lambda: Classifier(LeNet(4, image_size=16, widths=(4, 8, 32, 16))), lambda: images(16), verbs={"predict": (images(16)[0],)}),
    "resnet": Preset(lambda: Classifier(resnet_cifar(8, 4, in_channels=3, width=4)), lambda: images(12, 3), verbs={"predict": (images(12, 3)[0],)}),
}
