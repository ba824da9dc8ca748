"""Runs of adversarial networks that know classes, on images."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from deepcanon.data import images
from deepcanon.engine import Adam, Run, Samples, at_least, fit, linear, recipe
from deepcanon.gans.conditional import ConditionalGAN
from deepcanon.gans.objectives import hinge
from deepcanon.gans.penalties import zero_centred
from deepcanon.gans.semi_supervised import SemiSupervisedGAN
from deepcanon.layers.labels import UNLABELLED
from deepcanon.nets.biggan import BigDiscriminator, BigGenerator
from deepcanon.nets.conditional import Joined
from deepcanon.nets.mlp import mlp
from deepcanon.recipes.joint import Joint
from deepcanon.recipes.judge import JUDGES, Judge, digits_judge
from deepcanon.vision.classify import Classifier


@recipe(target={"class_accuracy": at_least(0.9)}, seconds=60, paper="Mirza & Osindero 2014", rows=["GEN-71", "MET-10"])
def conditional_gan_digits(latent: int = 32, hidden: int = 256, gamma: float = 1.0, lr: float = 1e-3, batch: int = 64, steps: int = 3_000,
                           seed: int = 0) -> Run:
    """Conditional GAN on scikit-learn's 8x8 digits: share of images that the judge takes for the digit asked for."""
    return told("digits", latent, hidden, gamma, lr, batch, steps, seed)


@recipe(target={"class_accuracy": at_least(0.9)}, seconds=600, paper="Mirza & Osindero 2014", rows=["GEN-71", "MET-10"])
def conditional_gan_mnist(latent: int = 64, hidden: int = 512, gamma: float = 5.0, lr: float = 7e-4, batch: int = 64, steps: int = 10_000,
                          seed: int = 0) -> Run:
    """Conditional GAN on MNIST: share of images that the judge takes for the digit asked for."""
    return told("mnist", latent, hidden, gamma, lr, batch, steps, seed)


@recipe(target={"class_accuracy": at_least(0.8), "truncation_gain": at_least(0.0)}, seconds=300, paper="Brock et al. 2019",
        rows=["GEN-77", "MET-10"])
def biggan_digits(latent: int = 48, width: int = 32, lr: float = 1e-3, batch: int = 64, steps: int = 1_500, threshold: float = 0.5,
                  seed: int = 0) -> Run:
    """A small BigGAN on scikit-learn's 8x8 digits: share of images of the digit asked for, and what truncation adds to it."""
    method = ConditionalGAN(BigGenerator(latent, 10, image_size=8, widths=(2 * width, width, width)), BigDiscriminator(10, widths=(width, 2 * width)),
                            latent_dim=latent, num_classes=10, objective=hinge)
    return fit(method, images("digits", batch=batch, seed=seed), Adam(lr, betas=(0.0, 0.99), schedule=linear()), steps=steps, seed=seed, ema=0.99,
               evaluate=[digits_judge(), obedience(digits_judge(), threshold)], callbacks=[Samples(lambda m: m.sample(100))])


@recipe(target={"gain": at_least(0.02)}, seconds=120, paper="Salimans et al. 2016", rows=["GEN-81"])
def semi_supervised_gan_digits(labels: int = 4, hidden: int = 256, latent: int = 32, lr: float = 1e-3, batch: int = 100, steps: int = 1_500,
                               seed: int = 0) -> Run:
    """Semi-supervised GAN on scikit-learn's 8x8 digits with four labels a class: test accuracy, and the gain over the same net without the rest."""
    every = images("digits", batch=batch, seed=seed)
    few = every.take(some_of_each(every.content.y, labels))
    train, test = Joint(partly_labelled, few, every), images("digits", split="test", batch=1_000)
    generator = nn.Sequential(mlp(latent, hidden, hidden, 64, norm=nn.BatchNorm1d), nn.Unflatten(1, (1, 8, 8)), nn.Sigmoid())
    method, alone = SemiSupervisedGAN(generator, classifier(hidden), latent_dim=latent), Classifier(classifier(hidden))
    first = fit(alone, few, Adam(lr, schedule=linear()), steps=steps // 5, seed=seed, evaluate=test)
    return fit(method, train, Adam(lr, betas=(0.5, 0.9), schedule=linear()), steps=steps, seed=seed, ema=0.99,
               evaluate=[test, beyond(first, test)], callbacks=[Samples(lambda m: m.sample(64))])


def told(source: str, latent: int, hidden: int, gamma: float, lr: float, batch: int, steps: int, seed: int) -> Run:
    """Perceptrons with the class beside their inputs."""
    train, judge = images(source, batch=batch, seed=seed), JUDGES[source]()
    pixels = math.prod(train.shape)
    images_of = nn.Sequential(mlp(latent + 10, hidden // 2, hidden, pixels, norm=nn.BatchNorm1d), nn.Unflatten(1, train.shape), nn.Sigmoid())
    critic = Joined(mlp(pixels + 10, hidden, hidden // 2, 1, activation=partial(nn.LeakyReLU, 0.2)), 10)
    method = ConditionalGAN(Joined(images_of, 10), critic, latent_dim=latent, num_classes=10, penalty=zero_centred(gamma))
    return fit(method, train, Adam(lr, betas=(0.5, 0.9), schedule=linear()), steps=steps, seed=seed, ema=0.99,
               evaluate=[judge, obedience(judge)], callbacks=[Samples(lambda m: m.sample(100))])


def obedience(judge: Judge, threshold: float | None = None, n: int = 2_000) -> Callable[[ConditionalGAN], dict[str, float]]:
    """An evaluation: the share of images that the judge takes for what was asked; with a threshold, the gain of truncated latents too."""

    def right(method: ConditionalGAN, truncation: float | None) -> float:
        return judge.obedience(method, lambda y: method.sample(n, y, truncation=truncation), n)

    def measure(method: ConditionalGAN) -> dict[str, float]:
        accuracy = right(method, None)
        return {"class_accuracy": accuracy} | ({"truncation_gain": right(method, threshold) - accuracy} if threshold else {})

    return measure


def classifier(hidden: int) -> nn.Sequential:
    """Digits to logits; noise on pixels and features, as the paper has it, keeps few labels from being learned by heart."""
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, hidden), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(hidden, hidden),
                         nn.LeakyReLU(0.2), nn.Linear(hidden, 10))


def some_of_each(y: Tensor, n: int) -> Tensor:
    """The rows of the first n examples of each class."""
    return torch.cat([(y == k).nonzero().flatten()[:n] for k in y.unique()])


def partly_labelled(few: tuple[Tensor, Tensor], every: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Examples with labels, then examples whose labels are withheld."""
    return torch.cat([few[0], every[0]]), torch.cat([few[1], torch.full_like(every[1], UNLABELLED)])


def beyond(supervised: Run, test: Any) -> Callable[[SemiSupervisedGAN], dict[str, float]]:
    """An evaluation: the accuracy beyond that of the supervised run, if it was trained in this process."""

    @torch.no_grad()
    def measure(method: SemiSupervisedGAN) -> dict[str, float]:
        if not supervised.results:
            return {}
        right = torch.cat([method.metrics(batch)["accuracy"] for batch in test.to(next(method.parameters()).device)])
        return {"supervised": supervised.results["accuracy"], "gain": right.mean().item() - supervised.results["accuracy"]}

    return measure
