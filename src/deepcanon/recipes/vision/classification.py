"""Runs of LeNet: of known sets, and of a folder of one's own pictures."""

from torch import nn

from deepcanon.data import Images, open_data
from deepcanon.engine import AdamW, Run, at_least, cosine, fit, preset, recipe
from deepcanon.layers.eval_blur import EvalBlur
from deepcanon.layers.norm import BatchNorm2d, Standardize
from deepcanon.nets.lenet import LeNet
from deepcanon.recipes.evaluation import evaluations
from deepcanon.recipes.inputs import class_count
from deepcanon.recipes.vision.distortions import distortion
from deepcanon.vision.classify import Classifier

WIDTHS = {"paper": (6, 16, 120, 84), "wide": (16, 32, 120, 84), "wider": (32, 64, 256, 128)}


@recipe(paper="LeCun et al. 1998", systems=["VIS-08"], presets=[
    preset("digits", size=28, widths="paper", norm=False, dropout=0.0, distort="affine", warmup=0.083, batch=32, steps=600,
           target={"accuracy": at_least(0.95)}, seconds=20),
    preset("mnist", widths="wide", norm=False, dropout=0.0, distort="none", warmup=0.167, ema=0.0, steps=1_200,
           target={"accuracy": at_least(0.991)}, seconds=30, published={"accuracy": 0.9905},
           source="LeCun et al. 1998, LeNet-5 without distortions"),
    preset("mnist", "full", widths="wider", norm=True, dropout=0.2, distort="elastic", blur=0.25, weight_decay=0.02,
           warmup=0.05, ema=0.999, batch=128, steps=8_424, target={"accuracy": at_least(0.996)},
           published={"accuracy": 0.992}, source="LeCun et al. 1998, LeNet-5 with distortions"),
    preset("fashion", widths="wide", norm=False, dropout=0.0, distort="flip", warmup=0.167, ema=0.0, steps=3_000,
           target={"accuracy": at_least(0.9)}, seconds=60)])
def lenet(data: Images = "digits", *, size: int | None = None, widths: str = "wider", norm: bool = True,
          dropout: float = 0.2, distort: str = "photo", blur: float = 0.0, smoothing: float = 0.05, lr: float = 3e-3,
          weight_decay: float = 0.01, warmup: float = 0.1, batch: int = 64, steps: int = 2_000, ema: float = 0.99,
          seed: int = 0) -> Run:
    """LeNet, with ReLU and max pooling, tells classes of images apart.

    Args:
        data, size: images by name, path or object; side in pixels that they are brought to.
        widths: maps and hidden units: paper, wide or wider.
        norm, dropout: batch normalisation of the maps; share of units left out while training.
        distort: of training images: none, shift, flip, crop, affine, elastic, erase or photo.
        blur: strength of the blur of test images that makes them as soft as distorted ones.
        smoothing: of the labels.
        lr, weight_decay, warmup: peak learning rate of AdamW, its decay, the part of the run before the peak.
        batch, steps, seed: images a step, training steps; seed of weights and order.
        ema: decay of the average of the weights; 0 is none.
    """
    source = open_data(data, "images", size=size)
    channels, height, width = source.shape
    if widths not in WIDTHS:
        raise ValueError(f"expected widths as one of {', '.join(WIDTHS)}, got {widths!r}")
    if height != width:
        raise ValueError(f"{source.name}: LeNet takes square images, got {height} x {width}; pass size={max(12, height)}")
    standardize = Standardize(source.mean, source.std)
    net = LeNet(class_count(source), in_channels=channels, image_size=height, widths=WIDTHS[widths],
                activation=lambda: nn.Sequential(nn.ReLU(), nn.Dropout(dropout)) if dropout else nn.ReLU(), pool=nn.MaxPool2d,
                norm=BatchNorm2d if norm else None,
                standardize=nn.Sequential(EvalBlur(blur), standardize) if blur else standardize)
    method = Classifier(net, label_smoothing=smoothing)
    train = source.train(batch=batch, seed=seed, augment=distortion(distort, source))
    optimizer = AdamW(lr, weight_decay=weight_decay, schedule=cosine(warmup=warmup))
    return fit(method, train, optimizer, steps=steps, seed=seed, ema=ema or None, evaluate=evaluations(method, source),
               evaluate_every=max(1, steps // 10))
