"""Runs of the convolutional nets before ResNet and beside it, in forms fitted to the size of the images."""

from typing import Any, Literal

from deepcanon.data import Images, open_data
from deepcanon.engine import AdamW, Run, at_least, cosine, fit, preset, recipe, starts_from
from deepcanon.layers.norm import Standardize
from deepcanon.nets.fitted import fitted_alexnet, fitted_densenet, fitted_googlenet, fitted_vgg
from deepcanon.recipes.evaluation import evaluations
from deepcanon.recipes.inputs import class_count, square
from deepcanon.recipes.vision.distortions import distortion
from deepcanon.recipes.vision.tuning import classifier, rates
from deepcanon.vision.test_time import as_it_is, ten_views

NETS: dict[str, Any] = {
    "vgg": fitted_vgg, "alexnet": fitted_alexnet, "googlenet": fitted_googlenet, "densenet": fitted_densenet}


@recipe(paper="Krizhevsky et al. 2012; Simonyan & Zisserman 2015; Szegedy et al. 2015; Huang et al. 2017",
        systems=["VIS-06", "VIS-09", "VIS-10", "VIS-11", "VIS-13", "VIS-14"], presets=[
    preset("digits", size=16, distort="shift", smoothing=0.0, steps=300, target={"accuracy": at_least(0.95)},
           seconds=60),
    preset("fashion", distort="flip", batch=128, steps=3_000, target={"accuracy": at_least(0.9)}, seconds=600),
    preset("cifar10", distort="crop", batch=128, steps=6_000)])
def convnet(data: Images = "digits", architecture: Literal["vgg", "alexnet", "googlenet", "densenet"] = "vgg", *,
            size: int | None = None, scale: float = 0.25, dropout: float = 0.2, distort: str = "photo",
            smoothing: float = 0.05, lr: float | None = None, weight_decay: float = 0.05, batch: int = 64,
            steps: int | None = None, average: bool = False, tune: str = "all", fast: bool = True, seed: int = 0) -> Run:
    """VGG, AlexNet, GoogLeNet or DenseNet, fitted to the size of the images, tells classes of them apart.

    Args:
        data: labelled images by name, folder, table of paths or object.
        architecture: vgg (11 layers, batch norm), alexnet (two towers, local response norm), googlenet or densenet.
        size: side in pixels that images are brought to; of your own, None keeps small ones of one size, else 32.
        scale: share of the paper's widths; 1 is the paper's net, made for 224 pixels and a GPU.
        dropout: before or after the last layers.
        distort: of training images: photo, crop, shift, flip, affine, elastic, erase or none.
        smoothing: of the labels.
        lr, weight_decay: of AdamW; the peak rate None is 0.002, or 0.0005 from another run.
        steps: training steps; None is 1,500, or 300 from another run.
        average: predictions are the mean over ten views of an image, shifted and mirrored.
        tune: what learns from another run: all, last, head, or a factor by which rates fall towards the input.
        fast: bfloat16 where the processor has it.
    """
    source = open_data(data, "images", size=size)
    lr = (0.0005 if starts_from() else 0.002) if lr is None else lr
    total = (300 if starts_from() else 1_500) if steps is None else steps
    if architecture in ("vgg", "alexnet"):
        square(source)
    net = NETS[architecture](source.shape, class_count(source), scale=scale, dropout=dropout,
                             standardize=Standardize(source.mean, source.std))
    views = ten_views(max(1, source.shape[1] // 16)) if average else (as_it_is,)
    auxiliary = 0.3 if architecture == "googlenet" else 0.0
    method = classifier(net, tune, smoothing=smoothing, views=views, auxiliary=auxiliary)
    optimizer = rates(AdamW(lr, weight_decay=weight_decay, schedule=cosine(warmup=0.1)), net, tune)
    train = source.train(batch=batch, seed=seed, augment=distortion(distort, source))
    return fit(method, train, optimizer, steps=total, seed=seed, bf16=fast, clip_norm=1.0,
               evaluate=evaluations(method, source), evaluate_every=max(1, total // 5))
