"""Judges of generated images: classifiers whose features and verdicts measure a generator.

Of digits, MNIST and Fashion-MNIST they are trained LeNets (`judges/*.safetensors`, part of the package, as `lenet` trains them
at seed 0). For any other images one is trained on them when it is first needed, on their classes or, where there are none, on four
rotations (Gidaris et al. 2018, arXiv 1803.07728), and kept in the cache under the digest of the data. Distances in the features of
two judges cannot be compared.
"""

import time
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepcanon.data.downloads import cache as cache_folder
from deepcanon.data.source import Source
from deepcanon.engine import AdamW, cosine, fit
from deepcanon.engine.calls import aside
from deepcanon.engine.checkpoint import load_weights, write_weights
from deepcanon.layers.norm import Standardize
from deepcanon.metrics.generation import Gaussian, class_shares, fit_gaussian, frechet_distance
from deepcanon.metrics.precision_and_recall import precision_recall
from deepcanon.nets.lenet import LeNet
from deepcanon.vision.classify import Classifier

WEIGHTS, FEW, SIDE = Path(__file__).parent / "judges", 5_000, 28
# for a user's own images: images that are drawn, steps of a judge's training
DRAWS, STEPS, ASKED = 500, 600, 2_000
DRAWN = {"digits": 2_000, "mnist": 10_000, "fashion": 5_000}            # images drawn from a generator
WIDTHS = {"digits": (6, 16, 120, 84)}
WIDE = (16, 32, 120, 84)


class Judge:
    """Measures a generator by a trained classifier.

    Args:
        net: the classifier.
        source: the images that are the reference; their test split where it has 500 images or more or is that of a known set, to which
            numbers have been recorded; else all of them.
        n: images drawn from a generator.
        classes: whether the classifier's classes are those of the images.
    """

    def __init__(self, net: LeNet, source: Source, n: int, *, classes: bool = True):
        self.net, self.source, self.n, self.classes = net.eval(), source, n, classes

    def __call__(self, sample: Callable[[int], Tensor]) -> dict[str, float]:
        """Frechet distance, precision, recall, shares of the rarest and the commonest class, and seconds, of what `sample(n)` draws."""
        start = time.perf_counter()
        drawn = [sample(size).cpu() for size in chunks(self.n)]
        seconds = (time.perf_counter() - start) * 1_000 / self.n
        features = torch.cat([self.features(x) for x in drawn])
        few = min(len(features), len(self.reference), FEW)
        precision, recall = precision_recall(features[:few], self.reference[:few])
        measured = {"frechet_distance": self.distance(features), "precision": precision.item(), "recall": recall.item()}
        if self.classes:
            shares = class_shares(self.net.head(features).argmax(1), self.net.head.out_features)
            measured |= {"class_min": shares.min().item(), "class_max": shares.max().item()}
        return measured | {"seconds_per_1000": seconds}

    def frechet(self, sample: Callable[[int], Tensor]) -> float:
        """The Frechet distance alone."""
        return self.distance(torch.cat([self.features(sample(size).cpu()) for size in chunks(self.n)]))

    def distance(self, features: Float[Tensor, "N F"]) -> float:
        """The Frechet distance of images with these features to the reference."""
        return frechet_distance(fit_gaussian(features), self.gaussian).item()

    @torch.no_grad()
    def features(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N F"]:
        """The last hidden layer; images of another size are resized to the judge's."""
        size = self.net.image_size
        return self.net.features(x if x.shape[-2:] == (size, size) else F.interpolate(x, (size, size), mode="bilinear", antialias=True))

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "N C H W"]) -> Int[Tensor, "N"]:
        """The class that the judge reads, on the CPU."""
        return self.net.head(self.features(x.cpu())).argmax(1)

    @torch.no_grad()
    def conditional_accuracy(self, method: Any, draw: Callable[[Tensor], Tensor], n: int | None = None) -> float:
        """The share of the images draw(y), y the classes in turn where the method is, in which the judge reads y."""
        n = n or ASKED
        y = torch.arange(n, device=next(method.parameters()).device) % self.net.head.out_features
        return (self.predict(draw(y)) == y.cpu()).float().mean().item()

    @cached_property
    def gaussian(self) -> Gaussian:
        """That of the reference's features."""
        return fit_gaussian(self.reference)

    @cached_property
    def reference(self) -> Float[Tensor, "M F"]:
        """The features of the real images."""
        alone = self.source.name in DRAWN or self.source.test_count >= 500
        parts = [self.source.test()] + ([] if alone else [self.source.train(batch=1_000, shuffle=False)])
        return torch.cat([self.features(x) for part in parts for x, _ in part])


def chunks(n: int, size: int = 1_000) -> list[int]:
    """n in parts of at most `size`."""
    return [min(size, n - start) for start in range(0, n, size)]


def judge_of(source: Source) -> Judge:
    """The judge of these images, trained now if it is not at hand."""
    name = source.name
    if name in DRAWN and source.metadata["shape"][0] == 1:
        return Judge(committed(name), source, DRAWN[name])
    classes = source.num_classes >= 2
    return Judge(trained(source, classes), source, DRAWS, classes=classes)


@cache
def committed(name: str) -> LeNet:
    """The classifier of a known set that is part of the package."""
    with torch.random.fork_rng():                                      # an evaluation draws the same whether it is the first or not
        net = LeNet(widths=WIDTHS.get(name, WIDE), activation=nn.ReLU, pool=nn.MaxPool2d, standardize=Standardize())
    method = Classifier(net)
    load_weights(method, WEIGHTS / f"lenet_{name}.safetensors")
    return net


def trained(source: Source, classes: bool) -> LeNet:
    """A LeNet of these images, from the cache or trained in half a minute on a CPU."""
    channels = source.shape[0]
    standardize = Standardize([source.mean] * channels, [source.std] * channels)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = LeNet(source.num_classes if classes else 4, in_channels=channels, image_size=SIDE, widths=WIDE, activation=nn.ReLU, pool=nn.MaxPool2d,
                    standardize=standardize)
    name = "-".join(map(str, (source.sha256[:32], *source.shape, net.head.out_features)))
    method, file = Classifier(net, label_smoothing=0.05), cache_folder() / "judges" / f"{name}.safetensors"
    if file.exists():
        load_weights(method, file)
        return net
    with aside(), torch.enable_grad():                                  # it may be an evaluation that asks for the judge
        fit(method, Resized(source.train(batch=64), rotate=not classes), AdamW(3e-3, schedule=cosine(warmup=0.1)), steps=STEPS)
    write_weights(file, method.cpu().state_dict())
    return net


class Resized:
    """Images brought to the judge's size, with their labels or, rotated by a number of quarter turns, with that number."""

    def __init__(self, data: Any, rotate: bool):
        self.data, self.rotate = data, rotate

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Batch number `step`."""
        x, y = self.data.at(step)
        x = F.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True)
        if not self.rotate:
            return x, y
        turns = torch.arange(len(x), device=x.device) % 4
        return torch.stack([image.rot90(int(turn), (1, 2)) for image, turn in zip(x, turns)]), turns

    def __len__(self) -> int:
        return len(self.data)

    def to(self, device: torch.device | str) -> "Resized":
        """The same images on another device."""
        return Resized(self.data.to(device), self.rotate)
