"""Runs of variational autoencoders that know classes."""

from typing import Any

from torch import Tensor, nn

from deepcanon.data import Images, Source, open_data
from deepcanon.engine import Run, at_least, fit, preset, recipe
from deepcanon.nets.conditional import Joined
from deepcanon.nets.perceptron import mlp
from deepcanon.recipes.evaluation import evaluations, pictures
from deepcanon.recipes.inputs import class_count, in_turn, size_of
from deepcanon.recipes.optimizers import adam
from deepcanon.recipes.semi_supervised import beyond, few_labelled, with_unlabelled
from deepcanon.recipes.stages import joined
from deepcanon.recipes.vaes.gaussian import BINARISED
from deepcanon.vae import ConditionalVAE, SemiSupervisedVAE
from deepcanon.vision.classify import Classifier


@recipe(paper="Sohn et al. 2015", systems=["GEN-19"], presets=[
    preset("digits", hidden=256, latent=8, target={"conditional_accuracy": at_least(0.9)}, seconds=30)])
def conditional_vae(data: Images = "digits", *, size: int | None = None, hidden: int = 512, latent: int = 32,
                    lr: float = 3e-3, batch: int = 128, steps: int = 1_500, seed: int = 0) -> Run:
    """Conditional VAE of dynamically binarised images: the bound, and the share of draws of the right class.

    Args:
        data: images of several classes by name or path or as an object.
        hidden, latent: units of the hidden layer of encoder and decoder, numbers of the code z.
    """
    source = open_data(data, "images", size=size)
    method = ConditionalVAE(*conditional_nets(source, hidden, latent), latent_dim=latent)
    draw = in_turn(source, of_class)
    measures = evaluations(method, source, sample=draw, condition=of_class, **BINARISED)
    return fit(method, source.train(batch=batch, seed=seed, **BINARISED), adam(lr), steps=steps, seed=seed,
               evaluate=measures, callbacks=pictures(source, lambda m: draw(m, 100)))


@recipe(paper="Kingma et al. 2014", systems=["GEN-22"], presets=[
    preset("digits", hidden=128, latent=3, seconds=40,
           target={"accuracy": at_least(0.75), "accuracy_gain": at_least(0.0)})])
def semi_supervised_vae(data: Images = "digits", *, size: int | None = None, labels: int = 10,
                        hidden: int = 256, latent: int = 16, alpha: float = 20.0, lr: float = 3e-3,
                        batch: int = 100, steps: int = 1_000, seed: int = 0) -> Run:
    """Semi-supervised VAE of images: accuracy with few labels, and its gain over the classifier alone.

    Args:
        data: images of several classes by name or path or as an object.
        labels: images of each class whose label is used.
        hidden, latent: units of the hidden layers, numbers of the code z.
        alpha: weight of the classifier's own loss.
    """
    source = open_data(data, "images", size=size)
    every, test, draw = source.train(batch=batch, seed=seed), source.test(), in_turn(source, of_class)
    few, alone = few_labelled(every, labels), Classifier(classifier(source, hidden))
    method = SemiSupervisedVAE(*conditional_nets(source, hidden, latent), classifier(source, hidden),
                               latent_dim=latent, num_classes=class_count(source), alpha=alpha)
    first = fit(alone, few, adam(lr), steps=steps // 3, seed=seed, evaluate=test)
    second = fit(method, with_unlabelled(few, every), adam(lr), steps=steps, seed=seed,
                 evaluate=[*evaluations(method, source, sample=draw), beyond(first, test)],
                 callbacks=pictures(source, lambda m: draw(m, 100)))
    return joined(first, second)


def conditional_nets(source: Source, hidden: int, latent: int) -> tuple[nn.Module, nn.Module]:
    """An encoder and a decoder of images that have the class beside their input."""
    values, classes = size_of(source), class_count(source)
    layers = mlp(latent + classes, hidden, values, activation=nn.SiLU)
    encoder = mlp(values + classes, hidden, 2 * latent, activation=nn.SiLU)
    return Joined(encoder, classes), Joined(nn.Sequential(layers, nn.Unflatten(1, source.shape)), classes)


def classifier(source: Source, hidden: int) -> nn.Sequential:
    """Images to the logits of their classes."""
    layers = mlp(size_of(source), hidden, hidden, class_count(source))
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.2), layers)


def of_class(method: Any, y: Tensor) -> Tensor:
    """A generated image of each class y, as the decoder's mean."""
    z = next(method.decoder.parameters()).new_empty(len(y), method.latent_dim).normal_()
    return method.decode(z, y).mean
