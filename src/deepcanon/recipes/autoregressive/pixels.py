"""Runs of autoregressive models of images, pixel by pixel."""

from typing import Any, Literal

from torch import nn

from deepcanon.autoregressive import AutoregressiveDensity, LogisticMixture, Softmax
from deepcanon.data import Images, Source, open_data
from deepcanon.engine import Factory, Run, at_least, at_most, preset, recipe
from deepcanon.nets.image_transformer import ImageTransformer, local_1d, local_2d
from deepcanon.nets.pixelcnn import GatedPixelCNN
from deepcanon.nets.pixelrnn import DiagonalBiLSTM, PixelRNN, RowLSTM
from deepcanon.recipes.densities import density_run, drawn, of_class
from deepcanon.recipes.evaluation import evaluations
from deepcanon.recipes.inputs import class_count, in_turn
from deepcanon.recipes.optimizers import adamw


@recipe(paper="van den Oord et al. 2016, arXiv 1606.05328; Salimans et al. 2017",
        systems=["GEN-28", "GEN-30", "GEN-33"], presets=[
    preset("digits", layers=4, muon=False, lr=3e-3, batch=64, steps=400),
    preset("digits", likelihood="softmax", seconds=40,
           target={"bits_per_dim": at_most(1.95), "class_min": at_least(0.04), "class_max": at_most(0.16)}),
    preset("digits", likelihood="logistic", seconds=40,
           target={"bits_per_dim": at_most(2.3), "class_min": at_least(0.04), "class_max": at_most(0.16)}),
    preset("mnist", steps=1_600, fast=True, target={"bits_per_dim": at_most(1.0)}, seconds=1_200,
           published={"bits_per_dim": 0.808},
           source="Lippe 2022, UvA Deep Learning Tutorials, 12: gated PixelCNN, 7 layers of 64"),
    preset("mnist", "full", width=64, layers=12, batch=128, steps=28_080, compiled=True,
           target={"bits_per_dim": at_most(0.85)}, published={"bits_per_dim": 0.808},
           source="Lippe 2022, UvA Deep Learning Tutorials, 12: gated PixelCNN, 7 layers of 64")])
def pixelcnn(data: Images = "digits", likelihood: Literal["softmax", "logistic"] = "softmax", *,
             size: int | None = None, width: int = 32, layers: int = 7, muon: bool = True, lr: float = 1e-2,
             batch: int = 16, steps: int = 400, fast: bool = False, compiled: bool = False,
             seed: int = 0) -> Run:
    """Gated PixelCNN on images: bits a value, and how its draws look.

    Args:
        data: images by name or path or as an object.
        likelihood: of a value: a probability for each level, or a mixture of discretised logistics.
        width, layers: feature maps, layers after the first.
        muon, fast, compiled: Muon in place of AdamW, bfloat16 where the processor has it, a compiled net.
        steps: training steps; of 32 x 32 photographs 400 take three minutes on a core, 1,000 draws one more.
    """
    source = open_data(data, "images", size=size)
    channels, levels = source.shape[0], source.levels
    values = Softmax(channels, levels) if likelihood == "softmax" else LogisticMixture(channels, 4, levels)
    net = pixel_net(source, values, width, layers)
    return pixel_run(net, values, source, adamw(lr, muon=muon), batch=batch, steps=steps, seed=seed,
                     bf16=fast, compile=("net",) if compiled else ())


@recipe(paper="van den Oord et al. 2016, arXiv 1606.05328", systems=["GEN-32"], presets=[
    preset("digits", layers=4, muon=False, lr=3e-3, batch=64, steps=400, seconds=40,
           target={"bits_per_dim": at_most(2.2), "conditional_accuracy": at_least(0.85)})])
def conditional_pixelcnn(data: Images = "digits", *, size: int | None = None, width: int = 32,
                         layers: int = 7, muon: bool = True, lr: float = 1e-2, batch: int = 16,
                         steps: int = 400, seed: int = 0) -> Run:
    """Gated PixelCNN on images given their class: bits a value, and the share of draws of the right class.

    Args:
        data: images of several classes by name or path or as an object.
        width, layers, muon: feature maps, layers after the first, train with Muon in place of AdamW.
    """
    source = open_data(data, "images", size=size)
    values = Softmax(source.shape[0], source.levels)
    net = pixel_net(source, values, width, layers, nn.Embedding(class_count(source), width))
    return pixel_run(net, values, source, adamw(lr, muon=muon), batch=batch, steps=steps, seed=seed)


@recipe(paper="van den Oord et al. 2016, arXiv 1601.06759", systems=["GEN-28", "GEN-29"], presets=[
    preset("digits", batch=64, steps=300, seconds=60,
           target={"bits_per_dim": at_most(2.2), "class_min": at_least(0.04), "class_max": at_most(0.16)})])
def pixelrnn(data: Images = "digits", cells: Literal["diagonal", "row"] = "diagonal", *,
             size: int | None = None, width: int = 32, layers: int = 2, lr: float = 3e-3, batch: int = 16,
             steps: int = 300, seed: int = 0) -> Run:
    """PixelRNN on images: bits a value, and how its draws look.

    Args:
        data: images by name or path or as an object.
        cells: bidirectional LSTMs along diagonals, or LSTMs over rows.
        width, layers: features, recurrent layers.
    """
    source = open_data(data, "images", size=size)
    values, cell = Softmax(source.shape[0], source.levels), DiagonalBiLSTM if cells == "diagonal" else RowLSTM
    net = PixelRNN(source.shape[0], values.size, cell, width=width, num_layers=layers)
    return pixel_run(net, values, source, adamw(lr), batch=batch, steps=steps, seed=seed)


@recipe(paper="Parmar et al. 2018", systems=["GEN-28", "GEN-31"], presets=[
    preset("digits", batch=64, steps=240, seconds=60,
           target={"bits_per_dim": at_most(2.3), "class_min": at_least(0.04), "class_max": at_most(0.16)})])
def image_transformer(data: Images = "digits", attention: Literal["local_2d", "local_1d"] = "local_2d", *,
                      size: int | None = None, width: int = 64, layers: int = 3, lr: float = 5e-3,
                      batch: int = 16, steps: int = 240, seed: int = 0) -> Run:
    """Image Transformer on images: bits a value, and how its draws look.

    Args:
        data: images by name or path or as an object.
        attention: local in two dimensions, or in the order of the pixels.
        width, layers: numbers of the embedding, blocks of attention.
    """
    source = open_data(data, "images", size=size)
    values, (height, pixels) = Softmax(source.shape[0], source.levels), source.shape[1:]
    block = max(4, min(height, pixels) // 4)
    mask = (local_1d((height, pixels), pixels, 3 * pixels) if attention == "local_1d" else
            local_2d((height, pixels), (block, block), (block, block - 1)))
    net = ImageTransformer(source.shape[0], values.size, mask, size=(height, pixels), embed_dim=width,
                           num_layers=layers)
    return pixel_run(net, values, source, adamw(lr, muon=True), batch=batch, steps=steps, seed=seed)


def pixel_net(source: Source, likelihood: Any, width: int, layers: int,
              condition: nn.Module | None = None) -> GatedPixelCNN:
    """A gated PixelCNN whose reach follows from the images; it reads many levels of a softmax as vectors."""
    side, embedded = min(source.shape[1:]), isinstance(likelihood, Softmax) and source.levels > 64
    dilations = tuple(min((1, 2, 1, 4, 1, 2)[i % 6], max(1, side // 4)) for i in range(layers))
    return GatedPixelCNN(source.shape[0], likelihood.size, width=width, first=5 if side < 16 else 7,
                         dilations=dilations, levels=source.levels if embedded else None, condition=condition)


def pixel_run(net: nn.Module, likelihood: Any, source: Source, optimizer: Factory, **how: Any) -> Run:
    """Trains the model of images; a conditional one draws all classes in turn."""
    method = AutoregressiveDensity(net, likelihood, shape=source.shape)

    draw, condition = (in_turn(source, of_class), of_class) if method.conditional else (drawn, None)
    measures = evaluations(method, source, sample=draw, condition=condition, batch=100)
    how |= {"ema": 0.99 if how["steps"] < 1_000 else 0.998, "measures": measures}
    return density_run(method, source, optimizer, draw=lambda m: draw(m, 64), **how)
