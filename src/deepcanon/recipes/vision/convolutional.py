"""Runs of the convolutional nets before ResNet and beside it, in forms fitted to the size of the images."""

from typing import Any, Literal

from torch import nn

from deepcanon.data import Images, Source, open_data
from deepcanon.engine import AdamW, Run, at_least, cosine, fit, preset, recipe, starts_from
from deepcanon.layers.local_response import LocalResponseNorm
from deepcanon.layers.norm import BatchNorm2d, Standardize
from deepcanon.nets.alexnet import AlexNet
from deepcanon.nets.densenet import DenseNet
from deepcanon.nets.googlenet import GoogLeNet
from deepcanon.nets.resnet import large_stem, small_stem
from deepcanon.nets.vgg import vgg_net
from deepcanon.recipes.evaluation import evaluations
from deepcanon.recipes.inputs import class_count, square
from deepcanon.recipes.vision.distortions import distortion
from deepcanon.recipes.vision.tuning import classifier, rates
from deepcanon.vision.auxiliary import DeeplySupervised
from deepcanon.vision.test_time import as_it_is, ten_views

LARGE = 64                                              # pixels a side, from which a stem lowers the resolution


@recipe(paper="Krizhevsky et al. 2012; Simonyan & Zisserman 2015; Szegedy et al. 2015; Huang et al. 2017",
        systems=["VIS-06", "VIS-09", "VIS-10", "VIS-11", "VIS-13", "VIS-14"], presets=[
    preset("digits", size=16, distort="shift", smoothing=0.0, steps=300, target={"accuracy": at_least(0.95)}, seconds=60),
    preset("fashion", distort="flip", batch=128, steps=3_000, target={"accuracy": at_least(0.9)}, seconds=600),
    preset("cifar10", distort="crop", batch=128, steps=6_000)])
def convnet(data: Images = "digits", architecture: Literal["vgg", "alexnet", "googlenet", "densenet"] = "vgg", *,
            size: int | None = None, scale: float = 0.25, dropout: float = 0.2, distort: str = "photo", smoothing: float = 0.05,
            lr: float | None = None, weight_decay: float = 0.05, batch: int = 64, steps: int | None = None, average: bool = False,
            tune: str = "all", fast: bool = True, seed: int = 0) -> Run:
    """VGG, AlexNet, GoogLeNet or DenseNet, fitted to the size of the images, tells classes of them apart.

    Args:
        data: labelled images by name, folder, table of paths or object.
        architecture: vgg (11 layers, batch norm), alexnet (two towers, local response norm), googlenet or densenet.
        size: side in pixels that images are brought to; of your own, None keeps small ones of one size, else 32.
        scale: share of the paper's widths; 1 is the paper's net, made for 224 pixels and a GPU.
        dropout: before or after the last layers.
        distort: of training images: photo, crop, shift, flip, affine, elastic, erase or none.
        smoothing: of the labels.
        lr: peak learning rate of AdamW; None is 0.002, or 0.0005 from another run.
        weight_decay: of AdamW.
        steps: training steps; None is 1,500, or 300 from another run.
        average: predictions are the mean over ten views of an image, shifted and mirrored.
        tune: of a run that starts from another: all, last, head, or a factor by which rates fall towards the input.
        fast: bfloat16 where the processor has it.
    """
    source = open_data(data, "images", size=size)
    lr = (0.0005 if starts_from() else 0.002) if lr is None else lr
    total = (300 if starts_from() else 1_500) if steps is None else steps
    net = net_of(source, architecture, scale, dropout)
    views = ten_views(max(1, source.shape[1] // 16)) if average else (as_it_is,)
    method: Any = classifier(net, tune, smoothing=smoothing, views=views)
    if architecture == "googlenet" and not average and tune == "all":
        method = DeeplySupervised(net, label_smoothing=smoothing)
    optimizer = rates(AdamW(lr, weight_decay=weight_decay, schedule=cosine(warmup=0.1)), net, tune)
    train = source.train(batch=batch, seed=seed, augment=distortion(distort, source))
    return fit(method, train, optimizer, steps=total, seed=seed, bf16=fast, clip_norm=1.0, evaluate=evaluations(method, source),
               evaluate_every=max(1, total // 5))


def net_of(source: Source, architecture: str, scale: float, dropout: float) -> nn.Module:
    """The net of that name at a share of its widths, for the source's images and classes."""
    if not 0 < scale <= 1:
        raise ValueError(f"expected a scale as a share of the paper's widths in (0, 1], got {scale}")
    classes, channels, size = class_count(source), source.shape[0], square(source)
    standardize = Standardize(source.mean, source.std)
    if architecture == "alexnet":
        widths = [2 * max(1, round(scale * w / 2)) for w in (96, 256, 384, 384, 256)]
        return AlexNet(classes, in_channels=channels, image_size=size, widths=widths, hidden=[round(4096 * scale)] * 2, groups=2,
                       response=LocalResponseNorm, dropout=dropout, standardize=standardize)
    if architecture == "vgg":
        return vgg_net(11, classes, in_channels=channels, image_size=size, width=max(8, round(64 * scale)), norm=BatchNorm2d,
                       hidden=[max(8, round(1024 * scale))], dropout=dropout, standardize=standardize)
    if architecture == "googlenet":
        return GoogLeNet(classes, in_channels=channels, width=scale, small=size < LARGE, norm=BatchNorm2d, dropout=dropout,
                         standardize=standardize)
    growth = max(2, round(32 * scale))
    stem = (small_stem if size < LARGE else large_stem)(channels, 2 * growth)
    return DenseNet(stem, 2 * growth, (6, 6, 6), classes, growth=growth, in_channels=channels, dropout=dropout / 4, standardize=standardize)
