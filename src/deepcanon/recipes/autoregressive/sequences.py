"""Runs of autoregressive models of binary images and of sounds."""

from deepcanon.autoregressive import AutoregressiveDensity, Softmax
from deepcanon.autoregressive.made import BernoulliMADE
from deepcanon.data import Arrays, Images, augment, open_data
from deepcanon.engine import Run, at_most, fit, preset, recipe
from deepcanon.nets.made import MADE
from deepcanon.nets.wavenet import WaveNet
from deepcanon.recipes.evaluation import evaluations, pictures
from deepcanon.recipes.inputs import size_of
from deepcanon.recipes.optimizers import adam, adamw
from deepcanon.recipes.sounds import open_sounds


@recipe(paper="Germain et al. 2015", systems=["GEN-40"], presets=[
    preset("digits", width=256, lr=2e-3, steps=1_000, target={"nll": at_most(24.0)}, seconds=20),
    preset("mnist", steps=8_000, target={"nll": at_most(95.0)}, seconds=180)])
def made(data: Images = "digits", *, size: int | None = None, width: int = 1_024, lr: float = 1e-3,
         batch: int = 128, steps: int = 1_500, seed: int = 0) -> Run:
    """MADE of dynamically binarised images: exact negative log-likelihood, in nats.

    Args:
        data: images by name or path or as an object.
        width: units of the hidden layer.
    """
    source = open_data(data, "images", size=size)
    method = BernoulliMADE(MADE(size_of(source), (width,)), source.shape)
    train = source.train(batch=batch, seed=seed, augment=augment.binarize)
    return fit(method, train, adam(lr), steps=steps, seed=seed, ema=0.998, callbacks=pictures(source),
               evaluate=evaluations(method, source, augment=augment.binarize))


@recipe(paper="van den Oord et al. 2016, arXiv 1609.03499", systems=["GEN-35"], presets=[
    preset("resonance", length=128, target={"excess_bits": at_most(0.15)}, seconds=60)])
def wavenet(data: Arrays = "resonance", *, length: int = 1_024, width: int = 24, lr: float = 3e-3,
            batch: int = 32, steps: int = 600, seed: int = 0) -> Run:
    """WaveNet of sounds in 256 companded levels: bits a value.

    Args:
        data: sounds (N, T) or (N, channels, T): from -1 to 1, of 16 bits, or levels 0 to 255; "resonance".
        length: values of a piece; longer sounds are cut at a random place each time they are read.
        width: features of a layer.
    """
    train, measures, (channels, length) = open_sounds(data, length, batch=batch, seed=seed)
    net = WaveNet(channels, 256 * channels, width=width, dilations=(1, 2, 4, 8, 16, 32))
    method = AutoregressiveDensity(net, Softmax(channels, 256), shape=(channels, length))
    return fit(method, train, adamw(lr), steps=steps, seed=seed, clip_norm=1.0, ema=0.99, evaluate=measures)
