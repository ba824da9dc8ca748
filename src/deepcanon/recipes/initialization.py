"""Runs of a deep plain net that differ in how its weights begin, or in what normalises it: `deepcanon compare 'init_*_digits'`.

Twenty layers are deep enough that a factor a layer is seen: a wrong one, to the twentieth power, is a signal that has died.
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from deepcanon.data import images
from deepcanon.engine import SGD, Run, at_least, at_most, fit, recipe
from deepcanon.foundations.initialization import Weights, initialize, kaiming, normal, orthogonal, xavier
from deepcanon.layers.norm import Standardize
from deepcanon.nets.mlp import mlp
from deepcanon.vision.classify import Classifier


def deep(source: str, weights: Weights, steps: int, seed: int, norm: Callable[[int], nn.Module] | None = None, lr: float = 0.02) -> Run:
    """Twenty ReLU layers of width 100 on small images, trained by SGD with momentum."""
    pixels, standardize = {"digits": (64, Standardize(0.3, 0.38)), "mnist": (784, Standardize(0.1307, 0.3081))}[source]
    net = initialize(mlp(pixels, *[100] * 19, 10, norm=norm), weights)
    train, test = images(source, batch=64, seed=seed), images(source, split="test", batch=500)
    return fit(Classifier(nn.Sequential(standardize, nn.Flatten(), net)), train, SGD(lr, momentum=0.9), steps=steps, seed=seed,
               clip_norm=1.0, evaluate=test, evaluate_every=max(1, steps // 20), log_every=10)


@recipe(target={"accuracy": at_most(0.2)}, seconds=15, paper="Glorot & Bengio 2010", rows=["FND-31"])
def init_small_digits(steps: int = 300, seed: int = 0) -> Run:
    """Twenty layers from N(0, 0.01^2) on digits: the signal dies on its way, nothing is learned."""
    return deep("digits", normal, steps, seed)


@recipe(target={"accuracy": at_most(0.7)}, seconds=15, paper="Glorot & Bengio 2010", rows=["FND-32"])
def init_xavier_digits(steps: int = 300, seed: int = 0) -> Run:
    """Twenty layers from N(0, 1/I) on digits: right for a linear net, half of what ReLUs need."""
    return deep("digits", xavier, steps, seed)


@recipe(target={"accuracy": at_least(0.75)}, seconds=15, paper="He et al. 2015", rows=["FND-33"])
def init_kaiming_digits(steps: int = 300, seed: int = 0) -> Run:
    """Twenty layers from N(0, 2/I) on digits: the signal keeps its size through ReLUs."""
    return deep("digits", kaiming, steps, seed)


@recipe(target={"accuracy": at_least(0.85)}, seconds=15, paper="Saxe et al. 2014", rows=["FND-35"])
def init_orthogonal_digits(steps: int = 300, seed: int = 0) -> Run:
    """Twenty layers from orthogonal matrices times sqrt 2 on digits: as Kaiming's, without its randomness of norms."""
    return deep("digits", partial(orthogonal, gain=2**0.5), steps, seed)


@recipe(target={"accuracy": at_most(0.7)}, seconds=15, paper="Ioffe & Szegedy 2015", rows=["FND-32"])
def norm_none_digits(steps: int = 300, seed: int = 0) -> Run:
    """Twenty layers without normalisation on digits, from weights half as large in variance as ReLUs need."""
    return deep("digits", xavier, steps, seed)


@recipe(target={"accuracy": at_least(0.7)}, seconds=15, paper="Ioffe & Szegedy 2015", rows=["FND-28"])
def norm_batch_digits(steps: int = 300, seed: int = 0) -> Run:
    """Twenty layers with batch normalisation on digits: each unit over the batch; sooner than none, later than layer norm."""
    return deep("digits", xavier, steps, seed, norm=nn.BatchNorm1d)


@recipe(target={"accuracy": at_least(0.8)}, seconds=15, paper="Ba et al. 2016", rows=["FND-29"])
def norm_layer_digits(steps: int = 300, seed: int = 0) -> Run:
    """Twenty layers with layer normalisation on digits: each example for itself."""
    return deep("digits", xavier, steps, seed, norm=nn.LayerNorm)


@recipe(target={"accuracy": at_least(0.8)}, seconds=15, paper="Wu & He 2018", rows=["FND-30"])
def norm_group_digits(steps: int = 300, seed: int = 0) -> Run:
    """Twenty layers with group normalisation on digits: groups of ten units."""
    return deep("digits", xavier, steps, seed, norm=partial(nn.GroupNorm, 10))


@recipe(target={"accuracy": at_most(0.4)}, seconds=25, paper="Glorot & Bengio 2010", rows=["FND-31"])
def init_small_mnist(steps: int = 600, seed: int = 0) -> Run:
    """Twenty layers from N(0, 0.01^2) on MNIST: the signal dies on its way, nothing is learned."""
    return deep("mnist", normal, steps, seed)


@recipe(target={"accuracy": at_most(0.85)}, seconds=25, paper="Glorot & Bengio 2010", rows=["FND-32"])
def init_xavier_mnist(steps: int = 600, seed: int = 0) -> Run:
    """Twenty layers from N(0, 1/I) on MNIST: right for a linear net, half of what ReLUs need; behind Kaiming's."""
    return deep("mnist", xavier, steps, seed)


@recipe(target={"accuracy": at_least(0.85)}, seconds=25, paper="He et al. 2015", rows=["FND-33"])
def init_kaiming_mnist(steps: int = 600, seed: int = 0) -> Run:
    """Twenty layers from N(0, 2/I) on MNIST: the signal keeps its size through ReLUs."""
    return deep("mnist", kaiming, steps, seed)


@recipe(target={"accuracy": at_least(0.85)}, seconds=25, paper="Saxe et al. 2014", rows=["FND-35"])
def init_orthogonal_mnist(steps: int = 600, seed: int = 0) -> Run:
    """Twenty layers from orthogonal matrices times sqrt 2 on MNIST: as Kaiming's, without its randomness of norms."""
    return deep("mnist", partial(orthogonal, gain=2**0.5), steps, seed)


@recipe(target={"accuracy": at_most(0.9)}, seconds=25, paper="Ioffe & Szegedy 2015", rows=["FND-32"])
def norm_none_mnist(steps: int = 600, seed: int = 0) -> Run:
    """Twenty layers without normalisation on MNIST, from weights half as large in variance as ReLUs need."""
    return deep("mnist", xavier, steps, seed)


@recipe(target={"accuracy": at_least(0.7)}, seconds=25, paper="Ioffe & Szegedy 2015", rows=["FND-28"])
def norm_batch_mnist(steps: int = 600, seed: int = 0) -> Run:
    """Twenty layers with batch normalisation on MNIST: each unit over the batch; better than none, behind layer norm."""
    return deep("mnist", xavier, steps, seed, norm=nn.BatchNorm1d)


@recipe(target={"accuracy": at_least(0.85)}, seconds=25, paper="Ba et al. 2016", rows=["FND-29"])
def norm_layer_mnist(steps: int = 600, seed: int = 0) -> Run:
    """Twenty layers with layer normalisation on MNIST: each example for itself."""
    return deep("mnist", xavier, steps, seed, norm=nn.LayerNorm)


@recipe(target={"accuracy": at_least(0.85)}, seconds=25, paper="Wu & He 2018", rows=["FND-30"])
def norm_group_mnist(steps: int = 600, seed: int = 0) -> Run:
    """Twenty layers with group normalisation on MNIST: groups of ten units."""
    return deep("mnist", xavier, steps, seed, norm=partial(nn.GroupNorm, 10))
