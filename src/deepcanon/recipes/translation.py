"""Runs of image-to-image translation, between images and copies of them whose true map is known."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from deepcanon.data import images
from deepcanon.data.augment import warp
from deepcanon.engine import Adam, Run, Samples, at_least, at_most, fit, linear, recipe
from deepcanon.gans.cyclegan import CycleGAN
from deepcanon.gans.pix2pix import Pix2Pix
from deepcanon.nets.patchgan import LocalTranslator, Translator, judge
from deepcanon.recipes.joint import Joint
from deepcanon.recipes.judge import JUDGES, Judge


@recipe(target={"l1": at_most(0.05)}, seconds=60, paper="Isola et al. 2017", rows=["GEN-72"])
def pix2pix_digits(degrees: float = 20.0, width: int = 16, l1: float = 100.0, lr: float = 2e-3, batch: int = 32, steps: int = 600,
                   seed: int = 0) -> Run:
    """pix2pix on 8x8 digits and their turned negatives, in pairs: mean absolute error of a pixel of test digits."""
    train, test = (Joint(partial(paired, degrees=degrees), images("digits", split=split, batch=batch, seed=seed)) for split in ("train", "test"))
    method = Pix2Pix(Translator(width=width, blocks=2), judge(2, width=width), l1=l1)
    return fit(method, train, Adam(lr, betas=(0.5, 0.999), schedule=linear()), steps=steps, seed=seed, evaluate=test,
               callbacks=[Samples(lambda m: m.predict(some_of(test, m)))])


@recipe(target={"class_there": at_least(0.9), "class_back": at_least(0.9)}, seconds=120, paper="Zhu et al. 2017", rows=["GEN-75", "GEN-83"])
def cyclegan_digits(degrees: float = 20.0, width: int = 16, cycle: float = 10.0, lr: float = 2e-3, batch: int = 32, steps: int = 1_500,
                    seed: int = 0) -> Run:
    """CycleGAN between 8x8 digits and turned negatives of other digits, without pairs: the share of translations that keep their class."""
    return unpaired("digits", degrees, width, 2, cycle, lr, batch, steps, seed)


@recipe(target={"class_there": at_least(0.9), "class_back": at_least(0.9)}, seconds=1_200, paper="Zhu et al. 2017", rows=["GEN-75", "GEN-83"])
def cyclegan_mnist(degrees: float = 20.0, width: int = 16, cycle: float = 10.0, lr: float = 1e-3, batch: int = 32, steps: int = 3_000,
                   seed: int = 0) -> Run:
    """CycleGAN between MNIST and turned negatives of other digits, without pairs: the share of translations that keep their class."""
    return unpaired("mnist", degrees, width, 4, cycle, lr, batch, steps, seed)


def unpaired(source: str, degrees: float, width: int, layers: int, cycle: float, lr: float, batch: int, steps: int, seed: int) -> Run:
    """One half of the training images and the other half's turned negatives."""
    whole, change = images(source, batch=batch, seed=seed), partial(turned_negative, degrees=degrees)
    half = whole.count // 2
    train = Joint(lambda a, b: (a[0], change(b[0])), whole.take(range(half)), whole.take(range(half, 2 * half)))
    test = images(source, split="test", batch=1_000)
    method = CycleGAN(*(LocalTranslator(width=width, layers=layers) for _ in range(2)), *(judge(width=width) for _ in range(2)), cycle=cycle)
    return fit(method, train, Adam(lr, betas=(0.5, 0.999), schedule=linear()), steps=steps, seed=seed,
               evaluate=[Joint(partial(paired, degrees=degrees), test), classes_kept(JUDGES[source](), test, degrees)],
               callbacks=[Samples(lambda m: m.translate(some_of(test, m)))])


def some_of(test, method: torch.nn.Module) -> Tensor:
    """The first images of a test set, where the method is."""
    return test.at(0)[0][:64].to(next(method.parameters()).device)


def turned_negative(x: Tensor, degrees: float) -> Tensor:
    """The true map: images (B, 1, H, W) turned clockwise, then white for black."""
    return 1 - turned(x, degrees)


def paired(batch: tuple[Tensor, Tensor], degrees: float) -> tuple[Tensor, Tensor]:
    """Images and their turned negatives."""
    return batch[0], turned_negative(batch[0], degrees)


def turned(x: Tensor, degrees: float) -> Tensor:
    """Images turned clockwise by some degrees about their middle, black outside."""
    still = x.new_zeros(len(x))
    return warp(x, still + math.radians(degrees), still + 1, still, x.new_zeros(len(x), 2))


def classes_kept(judge_of_digits: Judge, test, degrees: float) -> Callable[[CycleGAN], dict[str, float]]:
    """An evaluation: the share of test images whose class the judge still finds after the translation, undone by the true map, and after the way
    back from the true map's image; and the error of a pixel of the translation."""

    def measure(method: CycleGAN) -> dict[str, float]:
        kept = {"class_there": [], "class_back": [], "l1": []}
        for x, label in test.to(next(method.parameters()).device):
            y = turned_negative(x, degrees)
            there, back = method.translate(x), method.translate_back(y)
            kept["class_there"].append(judge_of_digits.predict(turned(1 - there, -degrees)) == label.cpu())
            kept["class_back"].append(judge_of_digits.predict(back) == label.cpu())
            kept["l1"].append((there - y).abs().flatten(1).mean(1).cpu())
        return {name: torch.cat(values).float().mean().item() for name, values in kept.items()}

    return measure
