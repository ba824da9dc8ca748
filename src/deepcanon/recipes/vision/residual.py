"""Runs of residual nets: of one's own photographs, and of known sets.

The default is made for few photographs on two cores: a convolution of stride 2 and, above 40 pixels a side, poolings,
so that large pictures cost hardly more than small ones; then three stages of one block, 64, 128 and 256 wide; random
crops, light and colour, mirror images where these keep the class (see `distortions`), 1,500 steps whatever the number
of pictures, strong weight decay, averaged weights. A run that starts from another (`--from RUN`) takes a tenth of the
rate and a fifth of the steps. CIFAR-10's target was measured on a copy of its pictures that is compressed as JPEG.
"""

import math

from torch import nn

from deepcanon.data import Images, Source, open_data
from deepcanon.engine import SGD, Run, at_least, cosine, fit, linear, preset, recipe, starts_from
from deepcanon.layers.norm import Standardize
from deepcanon.nets.resnet import ResNet, conv_norm, resnet18, resnet_cifar, small_stem
from deepcanon.recipes.evaluation import evaluations
from deepcanon.recipes.inputs import class_count
from deepcanon.recipes.vision.distortions import distortion
from deepcanon.recipes.vision.tuning import classifier, rates


@recipe(paper="He et al. 2016", systems=["VIS-12"], presets=[
    preset("digits", form="cifar14", distort="shift", smoothing=0.0, weight_decay=5e-4, schedule="linear", warmup=0.125, steps=400,
           target={"accuracy": at_least(0.95)}, seconds=30),
    preset("fashion", form="cifar14", distort="flip", smoothing=0.0, weight_decay=5e-4, schedule="linear", batch=128, steps=4_680,
           target={"accuracy": at_least(0.929)}, seconds=240),
    preset("fashion", "full", form="resnet18", distort="erase", smoothing=0.05, weight_decay=5e-4, schedule="cosine", warmup=0.04, batch=128,
           steps=28_080, ema=0.999, target={"accuracy": at_least(0.95)}),
    preset("cifar10", form="cifar20", distort="crop", smoothing=0.0, weight_decay=5e-4, warmup=0.1, batch=128, steps=7_000,
           target={"accuracy": at_least(0.85)}, seconds=1_200, published={"accuracy": 0.9125},
           source="He et al. 2016, ResNet-20, 64,000 steps of 128 images")])
def resnet(data: Images = "digits", *, size: int | None = None, form: str = "photo", distort: str = "photo",
           tune: str = "all", smoothing: float = 0.05, lr: float | None = None, weight_decay: float | None = None, schedule: str = "cosine",
           warmup: float = 0.05, batch: int = 64, steps: int | None = None, ema: float = 0.99, fast: bool = True, seed: int = 0) -> Run:
    """A residual net tells classes of images apart: your own photographs, from scratch or from another run.

    Args:
        data: labelled images by name, folder, table of paths or object.
        size: side in pixels that images are brought to; of your own, None keeps small ones of one size, else 32.
        form: photo (three wide blocks behind a stride), resnet18, or the paper's narrow one with its depth of 6n + 2: cifar14, cifar20.
        distort: of training images: photo, crop, shift, flip, affine, elastic, erase or none.
        tune: of a run that starts from another: all, last, head, or a factor by which rates fall towards the input.
        smoothing: of the labels.
        lr: peak learning rate; None is 0.1, or 0.01 from another run.
        weight_decay: None is 0.005, or 0.0005 from another run.
        schedule, warmup: cosine or linear, and the part of the run before the peak.
        steps: training steps; None is 1,500, or 300 from another run.
        ema: decay of the averaged weights.
        fast: bfloat16 where the processor has it.
    """
    source = open_data(data, "images", size=size)
    tuned = starts_from()
    lr = (0.01 if tuned else 0.1) if lr is None else lr
    weight_decay = (5e-4 if tuned else 5e-3) if weight_decay is None else weight_decay
    total = (300 if tuned else 1_500) if steps is None else steps
    net = net_of(source, form)
    method = classifier(net, tune, smoothing=smoothing)
    falls = {"cosine": cosine, "linear": linear}
    if schedule not in falls:
        raise ValueError(f"expected schedule as cosine or linear, got {schedule!r}")
    optimizer = rates(SGD(lr, momentum=0.9, nesterov=True, weight_decay=weight_decay, schedule=falls[schedule](warmup=warmup)), net, tune)
    train = source.train(batch=batch, seed=seed, augment=distortion(distort, source))
    return fit(method, train, optimizer, steps=total, seed=seed, bf16=fast, ema=ema, evaluate=evaluations(method, source),
               evaluate_every=max(1, total // 10))


def net_of(source: Source, form: str) -> nn.Module:
    """The net of that form for the source's images and classes."""
    classes, channels, standardize = class_count(source), source.shape[0], Standardize(source.mean, source.std)
    if form.startswith("cifar") and form[5:].isdigit():
        return resnet_cifar(int(form[5:]), classes, in_channels=channels, standardize=standardize)
    if form == "resnet18":
        return resnet18(classes, in_channels=channels, stem=small_stem, standardize=standardize)
    if form != "photo":
        raise ValueError(f"expected form as photo, resnet18 or cifar with its depth, such as cifar20, got {form!r}")
    poolings = max(0, math.ceil(math.log2(min(source.shape[1:]) / 40)))              # 11 to 20 pixels a side are left
    stem = [conv_norm(channels, 64, 3, 2), nn.ReLU(inplace=True), *(nn.MaxPool2d(3, 2, 1) for _ in range(poolings))]
    return ResNet(nn.Sequential(*stem), 64, (1, 1, 1), (64, 128, 256), classes, standardize=standardize)
