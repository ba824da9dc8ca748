"""Runs of image-to-image translation: between two sources, or between images and their turned negatives.

The second is a task whose true map is known, so that what is found can be compared with it.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from deepcanon.data import Images, open_data
from deepcanon.data.augment import warp
from deepcanon.data.source import Source
from deepcanon.engine import Adam, Run, Samples, at_least, at_most, fit, linear, preset, recipe
from deepcanon.gans.cyclegan import CycleGAN
from deepcanon.gans.pix2pix import Pix2Pix
from deepcanon.nets.patchgan import LocalTranslator, Translator, judge
from deepcanon.recipes.evaluation import Measure, judge_of
from deepcanon.recipes.joint import Joint

Batch = tuple[Tensor, ...]


@recipe(paper="Isola et al. 2017", systems=["GEN-72"], presets=[
    preset("digits", blocks=2, lr=2e-3, steps=600, target={"l1": at_most(0.05)}, seconds=60)])
def pix2pix(data: Images = "digits", other: Images | None = None, *, size: int | None = None,
            degrees: float = 20.0, width: int = 16, blocks: int = 4, l1: float = 100.0, lr: float = 1e-3,
            batch: int = 32, steps: int = 3_000, seed: int = 0) -> Run:
    """pix2pix translates images into those that they are paired with: the error of a pixel of test images.

    Args:
        data: images by name, folder, file or object.
        other: as many images, paired by order; None is the negatives of data, turned.
        size: side in pixels, an even number; None is 64 for your own images.
        degrees: angle of the turn.
        width, blocks: channels at full size, residual blocks of the translator.
        l1: weight of the error of a pixel.
    """
    source = open_data(data, "images", size=size, side=64)
    if other is None:
        change, outputs = partial(with_negative, degrees=degrees), source.shape[0]
        train = Joint(change, source.train(batch=batch, seed=seed))
        test = Joint(change, source.test(batch=batch))
    else:
        second = open_data(other, "images", size=source.shape[-1])
        (train, test), outputs = paired(source, second, batch, seed), second.shape[0]
    method = Pix2Pix(Translator(source.shape[0], outputs, width=width, blocks=blocks),
                     judge(source.shape[0] + outputs, width=width), l1=l1)
    return fit(method, train, Adam(lr, betas=(0.5, 0.999), schedule=linear()), steps=steps, seed=seed,
               evaluate=test, callbacks=shown(method.predict, test))


@recipe(paper="Zhu et al. 2017", systems=["GEN-75", "GEN-83"], presets=[
    preset("digits", layers=2, lr=2e-3, steps=1_500, seconds=120,
           target={"class_there": at_least(0.9), "class_back": at_least(0.9)}),
    preset("mnist", seconds=1_200,
           target={"class_there": at_least(0.9), "class_back": at_least(0.9)})])
def cyclegan(data: Images = "digits", other: Images | None = None, *, size: int | None = None,
             degrees: float = 20.0, width: int = 16, layers: int = 4, cycle: float = 10.0, lr: float = 1e-3,
             batch: int = 32, steps: int = 3_000, seed: int = 0) -> Run:
    """CycleGAN translates between two kinds of images without pairs, such that the way back leads home.

    Args:
        data: images by name, folder, file or object.
        other: images of the other kind; None is turned negatives of one half of data, beside its other half.
        size: side in pixels; None is 64 for your own images.
        degrees: angle of the turn.
        width, layers: channels of the translators; their residual blocks or, without `other`, their layers,
            so few that a pixel sees its surroundings alone and no image can be exchanged for another.
        cycle: weight of the way back.
    """
    source = open_data(data, "images", size=size, side=64)
    channels, second = source.shape[0], None
    if other is None:
        build = partial(LocalTranslator, channels, channels, width=width, layers=layers)
        whole, half = source.train(batch=batch, seed=seed), source.count // 2
        halves = whole.take(range(half)), whole.take(range(half, 2 * half))
        train = Joint(lambda a, b: (a[0], turned_negative(b[0], degrees)), *halves)
        test = Joint(partial(with_negative, degrees=degrees), source.test())
    else:
        second = open_data(other, "images", size=source.shape[-1], channels=channels)
        build = partial(Translator, channels, channels, width=width, blocks=layers)
        parts = source.train(batch=batch, seed=seed), second.train(batch=batch, seed=seed + 1)
        train = Joint(alongside, *parts)
        test = Joint(alongside, source.test(), second.test())
    method = CycleGAN(build(), build(), *(judge(channels, width=width) for _ in range(2)), cycle=cycle)
    measured = nearness(source, second) if second else classes_kept(source, degrees)
    return fit(method, train, Adam(lr, betas=(0.5, 0.999), schedule=linear()), steps=steps, seed=seed,
               evaluate=[test, measured], callbacks=shown(method.translate, test))


def turned(x: Tensor, degrees: float) -> Tensor:
    """Images turned clockwise by some degrees about their middle, black outside."""
    still = x.new_zeros(len(x))
    return warp(x, still + math.radians(degrees), still + 1, still, x.new_zeros(len(x), 2))


def turned_negative(x: Tensor, degrees: float) -> Tensor:
    """The map that is known: images (B, C, H, W) turned clockwise, then white for black."""
    return 1 - turned(x, degrees)


def with_negative(batch: Batch, degrees: float) -> Batch:
    """Images and their turned negatives."""
    return batch[0], turned_negative(batch[0], degrees)


def alongside(a: Batch, b: Batch) -> Batch:
    """As many images of either source."""
    n = min(len(a[0]), len(b[0]))
    return a[0][:n], b[0][:n]


def paired(a: Source, b: Source, batch: int, seed: int) -> tuple[Joint, Joint]:
    """All images of two sources, paired by order, for training and, one pair in five, for testing.

    Raises:
        ValueError: one of the sources has more images.
    """
    n, m = (source.count + source.test_count for source in (a, b))
    if n != m:
        raise ValueError(f"expected {n:,} images in other, one for each in data, got {m:,}")

    def part(rows: list[int], shuffle: bool) -> Joint:
        opened = (source.open(None, batch=batch, seed=seed, shuffle=shuffle) for source in (a, b))
        return Joint(alongside, *(images.take(rows) for images in opened))

    return part([i for i in range(n) if i % 5], True), part(list(range(0, n, 5)), False)


def shown(translate: Callable[[Tensor], Tensor], test: Joint) -> list[Samples]:
    """Translations of the first test images, beside what they should be or, without pairs, the other kind."""

    def make(method: nn.Module) -> Tensor:
        return translate(test.at(0)[0][:64].to(next(method.parameters()).device))

    return [Samples(make, beside=lambda: test.at(0)[1][:64])]


def nearness(a: Source, b: Source) -> Measure:
    """An evaluation: the Frechet distance of translated test images to real ones, in either direction."""

    def distance(translate: Callable[[Tensor], Tensor], x: Source, y: Source, device: torch.device) -> float:
        made = torch.cat([translate(images.to(device)).cpu() for images, _ in x.test(batch=100)])
        return judge_of(y).distance(judge_of(y).features(made))

    def measure(method: CycleGAN) -> dict[str, float]:
        device = next(method.parameters()).device
        return {"frechet_there": distance(method.translate, a, b, device),
                "frechet_back": distance(method.translate_back, b, a, device)}

    return measure


def classes_kept(source: Source, degrees: float) -> Measure:
    """An evaluation: the error of a pixel of the translation; where there are classes, also the share of test
    images whose class is read from the translation, undone by the known map, and from the way back."""

    def measure(method: CycleGAN) -> dict[str, float]:
        kept: dict[str, list[Tensor]] = defaultdict(list)
        for x, label in source.test().to(next(method.parameters()).device):
            y = turned_negative(x, degrees)
            there, back = method.translate(x), method.translate_back(y)
            kept["l1"].append((there - y).abs().flatten(1).mean(1).cpu())
            if source.num_classes >= 2:
                found = {"class_there": turned(1 - there, -degrees), "class_back": back}
                for name, images in found.items():
                    kept[name].append(judge_of(source).predict(images) == label.cpu())
        return {name: torch.cat(values).float().mean().item() for name, values in kept.items()}

    return measure
