"""Runs of conditional diffusion models: the condition is a class, or a sentence about one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deepcanon.data import Images, Source, open_data
from deepcanon.data.batches import Batches
from deepcanon.diffusion.conditional import ConditionalDDPM
from deepcanon.diffusion.ddpm import DDPM, data as picture
from deepcanon.diffusion.samplers import dpm_solver
from deepcanon.diffusion.schedules import cosine_schedule
from deepcanon.engine import Adam, Run, at_least, at_most, cosine, fit, preset, recipe
from deepcanon.nets.resmlp import ResidualMLP
from deepcanon.nets.text_encoder import TextEncoder
from deepcanon.recipes.evaluation import evaluations, pictures

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@recipe(paper="Ho & Salimans 2022", systems=["GEN-55", "MET-10"], presets=[
    preset("digits", target={"conditional_accuracy": at_least(0.9), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60)])
def guided_diffusion(data: Images = "digits", *, size: int | None = None, width: int = 256, layers: int = 3, weight: float = 1.0,
                     lr: float = 2e-3, batch: int = 128, steps: int = 1_500, seed: int = 0) -> Run:
    """Classifier-free guidance: a conditional diffusion model draws the class that it is given, and without a class all of them.

    Args:
        data: labelled images by name, folder or object; a perceptron reads them, so they should be small.
        size: side in pixels that images are brought to; by default 32 for your own that differ or are above 64.
        width, layers: units of a hidden layer, residual blocks.
        weight: of the guidance.
    """
    source = labelled(data, size)
    method = conditional_ddpm(source, nn.Embedding(source.num_classes, 64), width, layers, weight)
    every = torch.arange(100) % source.num_classes
    return fit(method, source.train(batch=batch, seed=seed), optimizer(lr), steps=steps, seed=seed, clip_norm=1.0, ema=0.995,
               evaluate=evaluations(method, source, condition=lambda m, y: m.sample(len(y), y)),
               callbacks=pictures(source, lambda m: m.sample(100, every)))


@recipe(paper="Ramesh et al. 2022", systems=["GEN-55", "MET-10"], presets=[
    preset("digits", target={"conditional_accuracy": at_least(0.9), "class_min": at_least(0.04), "class_max": at_most(0.16)}, seconds=60)])
def text_to_image(data: Images = "digits", *, size: int | None = None, width: int = 256, layers: int = 3, weight: float = 1.0,
                  lr: float = 2e-3, batch: int = 128, steps: int = 1_500, seed: int = 0) -> Run:
    """Text to image in small: sentences about the names of the classes, as "a picture of a cat" or "a handwritten three", are drawn.

    Args:
        data: labelled images by name, folder or object; a perceptron reads them, so they should be small.
        size: side in pixels that images are brought to; by default 32 for your own that differ or are above 64.
        width, layers: units of a hidden layer, residual blocks.
        weight: of the guidance.
    """
    source = labelled(data, size)
    sentences = Sentences(source.classes)
    method = conditional_ddpm(source, TextEncoder(len(sentences.words), sentences.longest, 64), width, layers, weight)
    every = torch.arange(100) % source.num_classes
    return fit(method, Captioned(source.train(batch=batch, seed=seed), sentences), optimizer(lr), steps=steps, seed=seed, clip_norm=1.0, ema=0.995,
               evaluate=[m for m in evaluations(method, source, condition=lambda m, y: m.sample(len(y), sentences.about(y))) if callable(m)],
               callbacks=pictures(source, lambda m: m.sample(100, sentences.about(every))))


def labelled(data: Images, size: int | None) -> Source:
    """Images of two classes or more."""
    source = open_data(data, "images", size=size)
    if source.num_classes < 2:
        raise ValueError(f"this method needs images of two classes or more, {source.name} has {source.num_classes}")
    return source


def conditional_ddpm(source: Source, encoder: nn.Module, width: int, layers: int, weight: float) -> ConditionalDDPM:
    """A diffusion model whose condition is made by an encoder of width 64."""
    net = ResidualMLP(source.shape, width=width, num_layers=layers, condition_dim=64)
    diffusion = DDPM(net, source.shape, abar=cosine_schedule(), predict=picture, sampler=dpm_solver, steps=15)
    return ConditionalDDPM(diffusion, encoder, embed_dim=64, weight=weight)


def optimizer(lr: float):
    """Adam with a short memory."""
    return Adam(lr, betas=(0.9, 0.99), schedule=cosine(warmup=0.02))


class Sentences:
    """Random sentences about classes, as the numbers of their words; number 0 fills up a sentence.

    Args:
        classes: their names; the digits 0 to 9 are written out.
    """

    def __init__(self, classes: Sequence[str]):
        digits = list(classes) == [str(d) for d in range(10)]
        self.names = NUMBERS if digits else [name.replace("_", " ").replace("/", " ").lower() for name in classes]
        self.phrases = (["{}", "a {}", "the digit {}", "a handwritten {}", "this is a {}"] if digits else
                        ["{}", "a {}", "the {}", "a picture of a {}", "this is a {}"])
        phrased = [[phrase.format(name).split() for name in self.names] for phrase in self.phrases]
        self.words = ["", *sorted({word for row in phrased for sentence in row for word in sentence})]
        self.longest = max(len(sentence) for row in phrased for sentence in row)
        self.table = torch.tensor([[self.numbered(sentence) for sentence in row] for row in phrased])     # (phrases, classes, longest)

    def numbered(self, sentence: list[str]) -> list[int]:
        """A sentence as the numbers of its words, filled up to the longest."""
        numbers = [self.words.index(word) for word in sentence]
        return numbers + [0] * (self.longest - len(numbers))

    def about(self, y: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A random sentence about each of some classes, (n,) -> (n, longest)."""
        return self.table[torch.randint(len(self.phrases), y.shape, generator=generator), y.cpu()].to(y.device)


class Captioned:
    """Labelled images with a sentence about each in place of its label."""

    def __init__(self, data: Batches, sentences: Sentences):
        self.data, self.sentences, self.key = data, sentences, f"captioned:{data.key}"

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Batch number `step`."""
        x, y = self.data.at(step)
        return x, self.sentences.about(y, torch.Generator().manual_seed(step))

    def __len__(self) -> int:
        return len(self.data)

    def to(self, device: torch.device | str) -> "Captioned":
        """The same data on another device."""
        return Captioned(self.data.to(device), self.sentences)

    @property
    def metadata(self) -> dict:
        return self.data.metadata | {"phrases": self.sentences.phrases}
