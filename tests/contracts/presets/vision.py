"""Presets of the family vision."""

import torch
from torch import nn

from deepcanon.layers.local_response import LocalResponseNorm
from deepcanon.nets.alexnet import AlexNet
from deepcanon.nets.caption_decoder import AdditiveAttention, CaptionDecoder
from deepcanon.nets.conv_net import ConvNet
from deepcanon.nets.densenet import densenet_cifar
from deepcanon.nets.fcn import FCN
from deepcanon.nets.googlenet import GoogLeNet
from deepcanon.nets.lenet import LeNet
from deepcanon.nets.resnet import resnet_cifar
from deepcanon.nets.segmentation_unet import SegmentationUNet
from deepcanon.nets.segnet import SegNet
from deepcanon.nets.swin import Swin
from deepcanon.nets.vit import ViT
from deepcanon.vision.anchors import anchor_shapes
from deepcanon.vision.caption import Captioner
from deepcanon.vision.classify import Classifier
from deepcanon.vision.fast_rcnn import FastRCNN
from deepcanon.vision.faster_rcnn import FasterRCNN
from deepcanon.vision.hard_attention import HardCaptioner, likeliest_place
from deepcanon.vision.instances import InstanceSegmenter
from deepcanon.vision.localize import Localizer
from deepcanon.vision.rcnn import RCNN
from deepcanon.vision.region_head import RegionHead
from deepcanon.vision.region_proposals import RegionProposals
from deepcanon.vision.region_search import selective_search
from deepcanon.vision.semantic import Segmenter
from deepcanon.vision.test_time import ten_views
from deepcanon.vision.yolo import YOLO
from tests.contracts.presets.common import Preset, boxed, images, with_proposals


def maps(channels: int = 8) -> nn.Sequential:
    """Maps of stride 8."""
    return nn.Sequential(nn.Conv2d(1, channels, 5, 4, 2), nn.ReLU(), nn.Conv2d(channels, channels, 3, 2, 1), nn.ReLU())


def head(size: int) -> RegionHead:
    """Of regions of 2 x 2 cells."""
    return RegionHead(nn.Sequential(nn.Flatten(), nn.Linear(size, 16), nn.ReLU()), 16, 3, sampled=8)


def proposals() -> RegionProposals:
    """Of squares of 12 pixels."""
    return RegionProposals(8, anchor_shapes([12.0], [1.0]), hidden=8, sampled=16, after=6, high=0.5)



def labelled_pixels(objects: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Images with a bright square, and where it is: its label, or, where objects are numbered, its number."""
    x, label = images(8, 3)
    y = (x.mean(1) > 0.45).long()
    return x, y * (1 + label[:, None, None] // 2 if not objects else 1)


WORDS = ["<fill>", "<start>", "<end>", "<unk>", "one", "two", "three", "four"]


def captioner(attention: bool = True, **how) -> Captioner:
    """Four places, with or without attention."""
    encoder = nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), nn.Tanh())
    attend = AdditiveAttention(6, 8, width=4) if attention else None
    return Captioner(encoder, CaptionDecoder(8, 6, embed_dim=4, hidden_dim=8, attention=attend), WORDS, **how)


def told_images() -> tuple[torch.Tensor, torch.Tensor]:
    """Images with a bright quarter, and a word for it."""
    x, y = images(8, 3)
    return x, torch.stack([4 + y, torch.full_like(y, 2), torch.zeros_like(y)], 1)


PRESETS = {
    "lenet": Preset(lambda: Classifier(LeNet(4, image_size=16, widths=(4, 8, 32, 16))), lambda: images(16), verbs={"predict": (images(16)[0],)}),
    "resnet": Preset(lambda: Classifier(resnet_cifar(8, 4, in_channels=3, width=4)), lambda: images(12, 3), verbs={"predict": (images(12, 3)[0],)}),
    "alexnet": Preset(lambda: Classifier(AlexNet(4, in_channels=1, image_size=16, widths=(4, 8, 8, 8, 8), hidden=(16, 16), groups=2,
                                                 response=LocalResponseNorm, dropout=0.0)),
                      lambda: images(16), verbs={"predict": (images(16)[0],)}),
    "convnet": Preset(lambda: Classifier(ConvNet([[6, 6], [8]], 4, in_channels=1, image_size=12, hidden=(16,), dropout=0.1), views=ten_views(1)),
                      lambda: images(12), verbs={"predict": (images(12)[0],)}),
    "densenet": Preset(lambda: Classifier(densenet_cifar(10, 4, 4, in_channels=1)), lambda: images(12), verbs={"predict": (images(12)[0],)}),
    "googlenet": Preset(lambda: Classifier(GoogLeNet(4, in_channels=1, width=0.1, small=True, dropout=0.0), auxiliary=0.3),
                        lambda: images(16), verbs={"predict": (images(16)[0],)}),
    "vit": Preset(lambda: Classifier(ViT(4, image_size=12, patch=4, in_channels=1, embed_dim=16, num_layers=2, num_heads=2)),
                  lambda: images(12), verbs={"predict": (images(12)[0],)}),
    "swin": Preset(lambda: Classifier(Swin(4, image_size=12, patch=2, in_channels=1, embed_dim=8, depths=(2, 1), num_heads=(2, 4), window=4)),
                   lambda: images(12), verbs={"predict": (images(12)[0],)}),
    "fine-tuned": Preset(lambda: Classifier(resnet_cifar(8, 4, in_channels=1, width=4), frozen=("stem", "stages.0")),
                         lambda: images(12), frozen=("net.stem", "net.stages.0")),
    "localizer": Preset(lambda: Localizer(nn.Sequential(maps(), nn.Flatten()), 128, 3), boxed),
    "yolo": Preset(lambda: YOLO(nn.Sequential(maps(), nn.Conv2d(8, 13, 1)), 3), boxed),
    "faster_rcnn": Preset(lambda: FasterRCNN(maps(), proposals(), head(32), cells=2), boxed),
    "fast_rcnn": Preset(lambda: FastRCNN(maps(), head(32), selective_search, cells=2), with_proposals),
    "rcnn": Preset(lambda: RCNN(head(64), selective_search, side=8), with_proposals),
    "unet_masks": Preset(lambda: Segmenter(SegmentationUNet(3, widths=(4, 8)), dice_weight=1.0), labelled_pixels,
                         verbs={"predict": (images(8, 3)[0],)}),
    "segnet": Preset(lambda: Segmenter(SegNet(3, widths=(4, 8), depths=(1, 2))), labelled_pixels, verbs={"predict": (images(8, 3)[0],)}),
    "fcn": Preset(lambda: Segmenter(FCN(3, widths=(4, 8), depths=(1, 1), skips=1)), labelled_pixels, verbs={"predict": (images(8, 3)[0],)}),
    "captions": Preset(lambda: captioner(attention=False), told_images),
    "captions_attention": Preset(lambda: captioner(coverage=0.1), told_images),
    "captions_hard": Preset(lambda: HardCaptioner(captioner(pick=likeliest_place)), told_images),
    "instances": Preset(lambda: InstanceSegmenter(SegmentationUNet(3, widths=(4, 8)), min_size=2), lambda: labelled_pixels(objects=True),
                        verbs={"predict": (images(8, 3)[0],)}),
}
