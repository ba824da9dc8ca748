"""The judges of generated images: classifiers trained by their own recipes (seed 0), whose weights, `judges/*.safetensors`, are part of the package.

    deepcanon train lenet_mnist --seed 0      # its weights.safetensors is judges/lenet_mnist.safetensors

A generator is measured by the Frechet distance of 10,000 of its images to the test images, and by precision and recall of up to 5,000 beside as many,
all in the features of the judge's last hidden layer; by the share of each class among the judge's verdicts; and by the seconds that images take.
"""

import copy
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from deepcanon.data import images
from deepcanon.engine import Run, options
from deepcanon.engine.checkpoint import load_weights
from deepcanon.metrics.generation import Gaussian, class_shares, fit_gaussian, frechet_distance
from deepcanon.metrics.precision_recall import precision_recall
from deepcanon.nets.lenet import LeNet
from deepcanon.recipes.vision import lenet_digits, lenet_fashion, lenet_mnist

WEIGHTS, FEW = Path(__file__).parent / "judges", 5_000


class Judge:
    """Measures a generator by a trained classifier.

    `judge(method)` gives `fid`, `precision`, `recall`, `class_min`, `class_max` and `seconds_per_1000` of what `method.sample(n)` draws.

    Args:
        recipe: builds the classifier; its weights are the committed ones.
        source: the images whose test split is the reference.
        n: images drawn from a generator.
    """

    def __init__(self, recipe: Callable[..., Run], source: str, n: int = 10_000):
        with options(build_only=True), torch.random.fork_rng():
            classifier: Any = recipe().method
        load_weights(classifier, WEIGHTS / f"{recipe.__name__}.safetensors")
        self.net: LeNet = classifier.eval().net
        self.source, self.n = source, n

    def __call__(self, method) -> dict[str, float]:
        return self.judge(method.sample)

    def judge(self, sample: Callable[[int], Tensor]) -> dict[str, float]:
        """The same for any function that draws n images."""
        start = time.perf_counter()
        drawn = [sample(size).cpu() for size in chunks(self.n)]
        seconds = (time.perf_counter() - start) * 1_000 / self.n
        features = torch.cat([self.features(x) for x in drawn])
        shares = class_shares(self.net.head(features).argmax(1), 10)
        few = min(len(features), len(self.reference), FEW)
        precision, recall = precision_recall(features[:few], self.reference[:few])
        return {"fid": self.distance(features), "precision": precision.item(), "recall": recall.item(), "class_min": shares.min().item(),
                "class_max": shares.max().item(), "seconds_per_1000": seconds}

    def fid(self, sample: Callable[[int], Tensor]) -> float:
        """The Frechet distance alone."""
        return self.distance(torch.cat([self.features(sample(size).cpu()) for size in chunks(self.n)]))

    def distance(self, features: Float[Tensor, "N F"]) -> float:
        """The Frechet distance of images with these features to the test images."""
        return frechet_distance(fit_gaussian(features), self.gaussian).item()

    def against_untrained(self, method) -> Callable[[Any], dict[str, float]]:
        """As `judge(...)`, and `fid_ratio`, the distance divided by that of `method` as it is now."""
        start = copy.deepcopy(method).eval()

        def measure(method) -> dict[str, float]:
            verdict = self(method)
            return verdict | {"fid_ratio": verdict["fid"] / self.fid(start.sample)}

        return measure

    @torch.no_grad()
    def features(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N F"]:
        """The judge's last hidden layer; images of another size are resized to the judge's."""
        size = self.net.image_size
        return self.net.features(x if x.shape[-1] == size else F.interpolate(x, (size, size), mode="bilinear", antialias=True))

    @torch.no_grad()
    def predict(self, x: Float[Tensor, "N C H W"]) -> Int[Tensor, "N"]:
        """The class that the judge reads, on the CPU."""
        return self.net.head(self.features(x.cpu())).argmax(1)

    @torch.no_grad()
    def obedience(self, method: Any, draw: Callable[[Tensor], Tensor], n: int) -> float:
        """The share of the n images draw(y), y the ten classes in turn where the method is, in which the judge reads y."""
        y = torch.arange(n, device=next(method.parameters()).device) % 10
        return (self.predict(draw(y)) == y.cpu()).float().mean().item()

    @cached_property
    def gaussian(self) -> Gaussian:
        """That of the test images' features."""
        return fit_gaussian(self.reference)

    @cached_property
    def reference(self) -> Float[Tensor, "M F"]:
        """The test images' features."""
        return torch.cat([self.features(x) for x, _ in images(self.source, split="test", batch=1_000)])


def chunks(n: int, size: int = 1_000) -> list[int]:
    """n in parts of at most `size`."""
    return [min(size, n - start) for start in range(0, n, size)]


def mnist_judge() -> Judge:
    """LeNet as `lenet_mnist` trains it."""
    return Judge(lenet_mnist, "mnist")


def digits_judge() -> Judge:
    """LeNet as `lenet_digits` trains it."""
    return Judge(lenet_digits, "digits", n=2_000)


def fashion_judge() -> Judge:
    """LeNet as `lenet_fashion` trains it."""
    return Judge(lenet_fashion, "fashion", n=5_000)


JUDGES = {"digits": digits_judge, "mnist": mnist_judge, "fashion": fashion_judge}
