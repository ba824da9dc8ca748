"""Runs of adversarial networks conditioned on classes, or that find codes by themselves, and what comes of it."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from deepcanon.data import Images, Points, open_data
from deepcanon.data.source import Source
from deepcanon.data.toys import TOYS, density
from deepcanon.engine import Adam, Run, at_least, fit, linear, preset, recipe
from deepcanon.gans.acgan import ACGAN
from deepcanon.gans.conditional import ConditionalGAN
from deepcanon.gans.infogan import InfoGAN
from deepcanon.gans.semi_supervised import SemiSupervisedGAN
from deepcanon.layers.norm import BatchNorm1d
from deepcanon.nets.conditional import Joined, Projected
from deepcanon.nets.perceptron import mlp
from deepcanon.recipes.evaluation import Measure, evaluations, judge_of, pictures
from deepcanon.recipes.gans.nets import critic, generator, play, slopes, units, widths
from deepcanon.recipes.inputs import class_count
from deepcanon.recipes.semi_supervised import beyond, few_labelled, with_unlabelled
from deepcanon.recipes.stages import joined
from deepcanon.vision.classify import Classifier


@recipe(paper="Mirza & Osindero 2014; Miyato & Koyama 2018", systems=["GEN-71", "MET-10"], presets=[
    preset("digits", latent=32, hidden=256, lr=1e-3, steps=3_000),
    preset("digits", discriminator="joined", target={"conditional_accuracy": at_least(0.9)}, seconds=60),
    preset("mnist", gamma=5.0),
    preset("mnist", discriminator="joined", target={"conditional_accuracy": at_least(0.9)}, seconds=600),
    preset("ring", latent=8, hidden=64, lr=1e-3, batch=128, steps=3_000, seconds=60,
           target={"conditional_accuracy": at_least(0.95)}),
    preset("ring", discriminator="projection", seconds=60, target={"conditional_accuracy": at_least(0.95)})])
def conditional_gan(data: Images | Points = "digits",
                    discriminator: Literal["joined", "projection"] = "joined", *, size: int | None = None,
                    latent: int = 64, hidden: int = 512, gamma: float | None = None, lr: float = 7e-4,
                    batch: int = 64, steps: int = 10_000, seed: int = 0) -> Run:
    """Conditional GAN of perceptrons draws the class asked for, of images or points.

    Args:
        data, size: images or points of two classes or more; side in pixels to bring images to.
        discriminator: whether it gets the class beside the data or projects its features on the class.
        latent, hidden: numbers that the generator reads; units of the widest of two hidden layers.
        gamma: weight of R1, and for points of R2; None is 1 for images and 0.1 for points.
    """
    source = open_data(data, "images", "points", size=size)
    classes = class_count(source)
    makes = Joined(generator(source, latent, hidden, beside=classes), classes)
    if discriminator == "joined":
        judges = Joined(critic(source, hidden, beside=classes), classes)
    else:
        features = widths(source, hidden, 2)[-1]
        net = nn.Sequential(critic(source, hidden, outputs=features), nn.LeakyReLU(0.2))
        judges = Projected(net, features, classes)
    method = ConditionalGAN(makes, judges, latent_dim=latent, num_classes=classes,
                            penalty=slopes(source, gamma))
    return play(method, source, lr, batch, steps, seed, measure=condition_measure(source))


@recipe(paper="Odena et al. 2017", systems=["GEN-73"], presets=[
    preset("ring", latent=8, hidden=64, lr=1e-3, batch=128, steps=3_000, seconds=60,
           target={"conditional_accuracy": at_least(0.95), "verdict_accuracy": at_least(0.95)})])
def acgan(data: Images | Points = "ring", *, size: int | None = None, latent: int = 64, hidden: int = 512,
          gamma: float | None = None, weight: float = 1.0, lr: float = 7e-4, batch: int = 64,
          steps: int = 10_000, seed: int = 0) -> Run:
    """AC-GAN of perceptrons, whose discriminator names the class too, of images or points.

    Args:
        data, size: images or points of two classes or more; side in pixels to bring images to.
        latent, hidden: numbers that the generator reads; units of the widest of two hidden layers.
        gamma: weight of R1, and for points of R2; None is 1 for images and 0.1 for points.
        weight: of the class beside the source.
    """
    source = open_data(data, "images", "points", size=size)
    classes = class_count(source)
    makes = Joined(generator(source, latent, hidden, beside=classes), classes)
    method = ACGAN(makes, critic(source, hidden, outputs=1 + classes), latent_dim=latent, num_classes=classes,
                   weight=weight, penalty=slopes(source, gamma))
    return play(method, source, lr, batch, steps, seed, measure=condition_measure(source))


@recipe(paper="Chen et al. 2016", systems=["GEN-74"], presets=[
    preset("ten_gaussians", latent=8, hidden=64, lr=1e-3, batch=128, steps=2_000, seconds=90,
           target={"nmi": at_least(0.9)})])
def infogan(data: Images | Points = "ten_gaussians", *, size: int | None = None, codes: int = 10,
            latent: int = 64, hidden: int = 512, gamma: float | None = None, weight: float = 1.0,
            lr: float = 7e-4, batch: int = 64, steps: int = 10_000, seed: int = 0) -> Run:
    """InfoGAN of perceptrons finds, without labels, a code that can be read back from what it draws.

    Args:
        data, size: images or points by name, path or object; side in pixels to bring images to.
        codes: values of the code.
        latent, hidden: further numbers that the generator reads; units of the widest of two hidden layers.
        gamma: weight of R1, and for points of R2; None is 1 for images and 0.1 for points.
        weight: of the information beside the game.
    """
    source = open_data(data, "images", "points", size=size)
    makes = Joined(generator(source, latent, hidden, beside=codes), codes)
    method = InfoGAN(makes, critic(source, hidden), critic(source, hidden, outputs=codes), latent_dim=latent,
                     num_codes=codes, weight=weight, penalty=slopes(source, gamma))
    return play(method, source, lr, batch, steps, seed, measure=code_information(source))


@recipe(paper="Salimans et al. 2016", systems=["GEN-81"], presets=[
    preset("digits", hidden=256, latent=32, lr=1e-3, steps=1_500, seconds=120,
           target={"accuracy": at_least(0.7)},
           expect="no gain that three runs can tell from chance, accuracy_gain -0.003 to 0.047 (95 %): the "
                  "class of the nearest of the 40 labelled images, accuracy 0.79, is above both nets")])
def semi_supervised_gan(data: Images = "digits", *, size: int | None = None, labels: int = 4,
                        latent: int = 64, hidden: int = 512, lr: float = 7e-4, batch: int = 100,
                        steps: int = 5_000, seed: int = 0) -> Run:
    """Semi-supervised GAN: what few labels teach with all other images, beyond the same net without them.

    Args:
        data, size: images of two classes or more; side in pixels to bring them to.
        labels: labelled images a class; the labels of all others are withheld.
        latent, hidden: numbers that the generator reads; units of a hidden layer, of two.
    """
    source = open_data(data, "images", size=size)
    classes, values = class_count(source), math.prod(source.shape)
    every, test = source.train(batch=batch, seed=seed), source.test()
    few = few_labelled(every, labels)
    makes = mlp(latent, hidden, hidden, values, norm=BatchNorm1d)
    method = SemiSupervisedGAN(nn.Sequential(makes, nn.Unflatten(1, source.shape), nn.Sigmoid()),
                               noisy(values, hidden, classes), latent_dim=latent)
    first = fit(Classifier(noisy(values, hidden, classes)), few, Adam(lr, schedule=linear()),
                steps=steps // 5, seed=seed, evaluate=test)
    last = fit(method, with_unlabelled(few, every), Adam(lr, betas=(0.5, 0.9), schedule=linear()),
               steps=steps, seed=seed, ema=0.99, callbacks=pictures(source),
               evaluate=[*evaluations(method, source), beyond(first, test)])
    return joined(first, last)


def reader(source: Source) -> Callable[[Tensor], Tensor]:
    """What tells the class of generated data, on the CPU: the judge of images; of points, the nearest centre
    or, where the density is not known, the nearest of up to 10,000 points of the data."""
    if source.kind == "images":
        return judge_of(source).predict
    known = density(source.name) if source.name in TOYS else None
    places, classes = (known.centres, known.parts) if known else source.train(batch=10_000).at(0)
    _, scale = units(source) or (None, torch.ones(1))
    return lambda x: classes[torch.cdist(x.cpu() / scale, places / scale).argmin(1)]


def condition_measure(source: Source, threshold: float | None = None) -> Measure:
    """An evaluation of draws given a class: the share that is of that class, by the reader and by the
    method's own classifier, if it has one; with a threshold, how much truncated latents add."""

    def measure(method: Any) -> dict[str, float]:
        n, read = 2_000 if source.kind == "images" else 4_000, reader(source)
        y = torch.arange(n, device=next(method.parameters()).device) % source.num_classes
        x = method.sample(n, y)
        found = {"conditional_accuracy": (read(x) == y.cpu()).float().mean().item()}
        if hasattr(method, "predict"):
            found["verdict_accuracy"] = (method.predict(x).argmax(1) == y).float().mean().item()
        if threshold is not None:
            surer = (read(method.sample(n, y, truncation=threshold)) == y.cpu()).float().mean().item()
            found["truncation_gain"] = surer - found["conditional_accuracy"]
        return found

    return measure


def code_information(source: Source) -> Measure:
    """An evaluation: the bound on the information of code and points, in nats; where there are classes, also
    2 I(c; k) / (H(c) + H(k)) of the code c and the class k of what is drawn, from their counts."""

    def measure(method: InfoGAN) -> dict[str, float]:
        c = torch.arange(5_000, device=next(method.parameters()).device) % method.num_codes
        x, classes = method.sample(len(c), c), source.num_classes
        found = {"information": method.information(x, c).item()}
        if classes < 2:
            return found
        pairs = torch.bincount(c.cpu() * classes + reader(source)(x), minlength=classes * method.num_codes)
        joint = pairs.double().view(-1, classes) / len(c)
        h = [-torch.xlogy(p, p).sum() for p in (joint, joint.sum(0), joint.sum(1))]
        return found | {"nmi": (2 * (h[1] + h[2] - h[0]) / (h[1] + h[2])).item()}

    return measure


def noisy(values: int, hidden: int, classes: int) -> nn.Sequential:
    """Images to logits; noise on pixels and features as in the paper, for few labels are learned by heart."""
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(values, hidden), nn.LeakyReLU(0.2),
                         nn.Dropout(0.3), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2),
                         nn.Linear(hidden, classes))
